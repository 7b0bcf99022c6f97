/* Lets h2load show a client certificate, for which it has no option: preloaded, it gives every TLS context
   the chain and key named in the environment. Only names of libssl's stable interface are used. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>

extern int SSL_CTX_use_certificate_chain_file(void *context, const char *path);
extern int SSL_CTX_use_PrivateKey_file(void *context, const char *path, int type);

void *SSL_CTX_new(const void *method) {
  void *(*inner)(const void *) = (void *(*)(const void *))dlsym(RTLD_NEXT, "SSL_CTX_new");
  void *context = inner(method);
  const char *chain = getenv("BENCH_CHAIN"), *key = getenv("BENCH_KEY");
  if (context && chain && key &&
      (SSL_CTX_use_certificate_chain_file(context, chain) != 1 ||
       SSL_CTX_use_PrivateKey_file(context, key, 1 /* PEM */) != 1))
    abort();
  return context;
}
