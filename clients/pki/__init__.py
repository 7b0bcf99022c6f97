"""A development authority: certificates and revocation lists as in real life, kept in a folder."""
