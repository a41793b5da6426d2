#include "crypto/merkle.h"

#include <string.h>

#include "crypto/hash.h"

void merkle_leaf(const void *data, size_t size, uint8_t out[MERKLE_SIZE]) {
    const uint8_t prefix = 0;
    struct hash_state state;
    hash_start(&state);
    hash_update(&state, &prefix, 1);
    hash_update(&state, data, size);
    hash_final(&state, out);
}

void merkle_node(const uint8_t left[MERKLE_SIZE], const uint8_t right[MERKLE_SIZE],
                 uint8_t out[MERKLE_SIZE]) {
    const uint8_t prefix = 1;
    struct hash_state state;
    hash_start(&state);
    hash_update(&state, &prefix, 1);
    hash_update(&state, left, MERKLE_SIZE);
    hash_update(&state, right, MERKLE_SIZE);
    hash_final(&state, out);
}

void merkle_append(struct merkle_tree *tree, const uint8_t leaf[MERKLE_SIZE]) {
    uint8_t carry[MERKLE_SIZE];
    memcpy(carry, leaf, sizeof carry);
    /* As adding one to a binary number: full subtrees of equal size join and carry upwards. */
    unsigned level = 0;
    for (; tree->size >> level & 1; level++)
        merkle_node(tree->nodes[level], carry, carry);
    memcpy(tree->nodes[level], carry, sizeof carry);
    tree->size++;
}

void merkle_root(const struct merkle_tree *tree, uint8_t out[MERKLE_SIZE]) {
    uint8_t root[MERKLE_SIZE];
    bool any = false;
    /* The smallest subtree is the rightmost: join it to ever larger ones on its left. */
    for (unsigned level = 0; level < 64; level++) {
        if (!(tree->size >> level & 1))
            continue;
        if (any)
            merkle_node(tree->nodes[level], root, root);
        else
            memcpy(root, tree->nodes[level], sizeof root);
        any = true;
    }
    if (any)
        memcpy(out, root, sizeof root);
    else
        hash_sha256(NULL, 0, out);
}
