// Verifies a log of ours with the code of Go's checksum database, which shares nothing with ours.
//
//	verify log FOLDER KEY [CHECKPOINT...]  the published folder of a log, and older checkpoints of it
//	verify proofs < LINES                  says of each line whether its proof holds, as `true` or `false`
//
// A line is `inclusion INDEX SIZE LEAF ROOT HASH...` or `consistency OLD NEW ROOT ROOT HASH...`, the hashes
// in hexadecimal digits.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	if len(os.Args) > 3 && os.Args[1] == "log" {
		fmt.Println("verified", verifyLog(os.Args[2], os.Args[3], os.Args[4:]))
	} else if len(os.Args) == 2 && os.Args[1] == "proofs" {
		verifyProofs()
	} else {
		fail("usage: verify log FOLDER KEY [CHECKPOINT...] | verify proofs")
	}
}

// verifyLog verifies signature, tiles, root, bundles, every inclusion and each consistency; it returns the size.
func verifyLog(folder, key string, older []string) int64 {
	verifier, err := note.NewVerifier(key)
	check(err)
	tree := open(filepath.Join(folder, "checkpoint"), verifier)
	reader := tlog.TileHashReader(tree, files(folder))
	root, err := tlog.TreeHash(tree.N, reader)
	check(err)
	if root != tree.Hash {
		fail("the tiles have another root")
	}
	built := []tlog.Hash{}
	hashes := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		found := []tlog.Hash{}
		for _, index := range indexes {
			found = append(found, built[index])
		}
		return found, nil
	})
	for index, data := range entries(folder, tree.N) {
		stored, err := tlog.StoredHashes(int64(index), data, hashes)
		check(err)
		built = append(built, stored...)
		proof, err := tlog.ProveRecord(tree.N, int64(index), reader)
		check(err)
		check(tlog.CheckRecord(proof, tree.N, tree.Hash, int64(index), tlog.RecordHash(data)))
	}
	if tree.N > 0 {
		root, err = tlog.TreeHash(tree.N, hashes)
		check(err)
		if root != tree.Hash {
			fail("the entries have another root")
		}
	}
	for _, path := range older {
		before := open(path, verifier)
		if before.N == 0 {
			continue
		}
		proof, err := tlog.ProveTree(tree.N, before.N, reader)
		check(err)
		check(tlog.CheckTree(proof, tree.N, tree.Hash, before.N, before.Hash))
	}
	return tree.N
}

// open reads a checkpoint and verifies its signature.
func open(path string, verifier note.Verifier) tlog.Tree {
	data, err := os.ReadFile(path)
	check(err)
	opened, err := note.Open(data, note.VerifierList(verifier))
	check(err)
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() || lines[3] != "" {
		fail("no checkpoint of this log: " + path)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	hash, err := base64.StdEncoding.DecodeString(lines[2])
	check(err)
	tree := tlog.Tree{N: size}
	if copy(tree.Hash[:], hash) != tlog.HashSize {
		fail("a root has another length: " + path)
	}
	return tree
}

// files reads tiles from a folder; Go puts their height before their level, which ours is always.
type files string

func (folder files) Height() int                     { return 8 }
func (folder files) SaveTiles([]tlog.Tile, [][]byte) {}
func (folder files) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	found := [][]byte{}
	for _, tile := range tiles {
		path := "tile/" + strings.TrimPrefix(tile.Path(), "tile/8/")
		data, err := os.ReadFile(filepath.Join(string(folder), path))
		if err != nil {
			return nil, err
		}
		found = append(found, data)
	}
	return found, nil
}

// entries reads all entry bundles.
func entries(folder string, size int64) [][]byte {
	found := [][]byte{}
	for first := int64(0); first < size; first += 256 {
		tile := tlog.Tile{H: 8, L: 0, N: first / 256, W: 256}
		if size-first < 256 {
			tile.W = int(size - first)
		}
		path := "tile/entries/" + strings.TrimPrefix(tile.Path(), "tile/8/0/")
		data, err := os.ReadFile(filepath.Join(folder, path))
		check(err)
		for len(data) > 0 {
			length := int(binary.BigEndian.Uint16(data))
			found = append(found, data[2:2+length])
			data = data[2+length:]
		}
	}
	if int64(len(found)) != size {
		fail("the bundles hold another number of entries")
	}
	return found
}

func verifyProofs() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		first, err := strconv.ParseInt(words[1], 10, 64)
		check(err)
		second, err := strconv.ParseInt(words[2], 10, 64)
		check(err)
		hashes := []tlog.Hash{}
		for _, word := range words[3:] {
			data, err := hex.DecodeString(word)
			check(err)
			hash := tlog.Hash{}
			copy(hash[:], data)
			hashes = append(hashes, hash)
		}
		if words[0] == "inclusion" {
			err = tlog.CheckRecord(hashes[2:], second, hashes[1], first, hashes[0])
		} else {
			err = tlog.CheckTree(hashes[2:], second, hashes[1], first, hashes[0])
		}
		fmt.Println(err == nil)
	}
}

func check(err error) {
	if err != nil {
		fail(err.Error())
	}
}

func fail(message string) {
	fmt.Fprintln(os.Stderr, "verify:", message)
	os.Exit(1)
}
