/* RFC 6962, section 2.1: the Merkle tree of the audit log, with SHA-256.
 *
 * A tree is kept as the roots of its full subtrees (a compact range): appending is O(log n), and
 * the head of any size that was reached needs no leaf again. Plain value, no memory of its own. */
#ifndef CRYPTO_MERKLE_H
#define CRYPTO_MERKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MERKLE_SIZE 32

struct merkle_tree {
    uint64_t size;                  /* leaves */
    uint8_t nodes[64][MERKLE_SIZE]; /* nodes[k] counts where bit k of size is set: 2^k leaves */
};

/* SHA-256(0x00 || bytes) and SHA-256(0x01 || left || right). out may be left or right. */
void merkle_leaf(const void *data, size_t size, uint8_t out[MERKLE_SIZE]);
void merkle_node(const uint8_t left[MERKLE_SIZE], const uint8_t right[MERKLE_SIZE],
                 uint8_t out[MERKLE_SIZE]);

/* A zeroed struct is the empty tree. */
void merkle_append(struct merkle_tree *tree, const uint8_t leaf[MERKLE_SIZE]);
/* Head of the tree; of an empty one SHA-256 of nothing. */
void merkle_root(const struct merkle_tree *tree, uint8_t out[MERKLE_SIZE]);

#endif
