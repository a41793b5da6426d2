/* NonMaxSuppression: for each image and class, boxes in the order of their scores, leaving out
 * those that overlap a box already taken by more than iou_threshold. Of equal scores the box with
 * the lower index comes first. */
#include "engine/ops/op.h"
#include "engine/ops/sort.h"

struct box {
    float x1, y1, x2, y2, area;
};

static enum status nms_infer(struct op_ctx *c) {
    enum status s = op_need_all(c, 2);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT(FLOAT));
    if (s == STATUS_OK)
        s = op_need_dtype(c, 1, DT(FLOAT));
    if (s == STATUS_OK)
        s = op_need_rank(c, 0, 3, 3);
    if (s == STATUS_OK)
        s = op_need_rank(c, 1, 3, 3);
    if (s != STATUS_OK)
        return s;
    const struct tensor *boxes = op_in(c, 0), *scores = op_in(c, 1);
    if (boxes->dims[2] != 4 || boxes->dims[0] != scores->dims[0] ||
        boxes->dims[1] != scores->dims[2])
        return op_fail(c, "boxes must be [images,boxes,4] and scores [images,classes,boxes]");
    return op_infer_in_run(c);
}

static struct box box_of(const float *p, bool centre) {
    struct box b;
    if (centre) { /* x, y, width, height */
        b = (struct box){.x1 = p[0] - p[2] / 2,
                         .y1 = p[1] - p[3] / 2,
                         .x2 = p[0] + p[2] / 2,
                         .y2 = p[1] + p[3] / 2};
    } else { /* y, x of any two opposite corners */
        bool flip_y = p[0] > p[2], flip_x = p[1] > p[3];
        b = (struct box){.x1 = flip_x ? p[3] : p[1],
                         .y1 = flip_y ? p[2] : p[0],
                         .x2 = flip_x ? p[1] : p[3],
                         .y2 = flip_y ? p[0] : p[2]};
    }
    b.area = (b.x2 - b.x1) * (b.y2 - b.y1);
    return b;
}

static bool overlap(const struct box *a, const struct box *b, float threshold) {
    float x1 = a->x1 > b->x1 ? a->x1 : b->x1, x2 = a->x2 < b->x2 ? a->x2 : b->x2;
    float y1 = a->y1 > b->y1 ? a->y1 : b->y1, y2 = a->y2 < b->y2 ? a->y2 : b->y2;
    if (x2 <= x1 || y2 <= y1 || a->area <= 0 || b->area <= 0)
        return false;
    float both = (x2 - x1) * (y2 - y1);
    return both / (a->area + b->area - both) > threshold;
}

static bool score_before(const void *ctx, int64_t a, int64_t b) {
    const float *scores = ctx;
    return scores[a] > scores[b];
}

struct search {
    const float *boxes; /* of the image */
    size_t n, most;
    float iou, score;
    bool any_score, centre;
    int64_t *order, *spare;
    struct box *taken;
};

/* One class of one image: indices of the boxes taken, into found[0..). */
static size_t search_class(const struct search *q, const float *scores, int64_t *found) {
    size_t candidates = 0, count = 0;
    for (size_t i = 0; i < q->n; i++)
        if (q->any_score ? scores[i] == scores[i] : scores[i] > q->score)
            q->order[candidates++] = (int64_t)i;
    sort_positions(q->order, q->spare, candidates, score_before, scores);
    for (size_t i = 0; i < candidates && count < q->most; i++) {
        struct box b = box_of(q->boxes + (size_t)q->order[i] * 4, q->centre);
        bool free_of = true;
        for (size_t k = 0; free_of && k < count; k++)
            free_of = !overlap(&b, &q->taken[k], q->iou);
        if (free_of) {
            q->taken[count] = b;
            found[count++] = q->order[i];
        }
    }
    return count;
}

static enum status parameters(struct op_ctx *c, struct search *q) {
    int64_t most = 0;
    double iou = 0, score = 0;
    enum status s = STATUS_OK;
    if (op_in(c, 2))
        s = op_in_int(c, 2, &most);
    if (s == STATUS_OK && op_in(c, 3))
        s = op_in_double(c, 3, &iou);
    if (s == STATUS_OK && op_in(c, 4))
        s = op_in_double(c, 4, &score);
    if (s != STATUS_OK)
        return s;
    if (!(iou >= 0 && iou <= 1))
        return op_fail(c, "input \"iou_threshold\" is %g, must be from 0 to 1", iou);
    q->iou = (float)iou;
    q->score = (float)score;
    q->any_score = !op_in(c, 4);
    q->centre = op_attr_int(c, "center_point_box", 0) != 0;
    q->most = most <= 0 ? 0 : (uint64_t)most < q->n ? (size_t)most : q->n;
    return STATUS_OK;
}

static enum status nms_run(struct op_ctx *c) {
    const struct tensor *boxes = op_in(c, 0), *scores = op_in(c, 1);
    size_t images = (size_t)scores->dims[0], classes = (size_t)scores->dims[1];
    struct search q = {.n = (size_t)scores->dims[2]};
    enum status s = parameters(c, &q);
    if (s != STATUS_OK)
        return s;
    q.order = op_scratch_array(c, q.n, sizeof *q.order);
    q.spare = op_scratch_array(c, q.n, sizeof *q.spare);
    q.taken = op_scratch_array(c, q.most, sizeof *q.taken);
    size_t rows = 0, cells = 0, total = 0;
    if (!checked_mul(images, classes, &rows) || !checked_mul(rows, q.most, &cells))
        return op_no_memory(c);
    int64_t *found = op_scratch_array(c, cells, sizeof *found);
    size_t *counts = op_scratch_array(c, rows, sizeof *counts);
    if (!q.order || !q.spare || !q.taken || !found || !counts)
        return op_no_memory(c);
    for (size_t r = 0; r < rows; r++) {
        q.boxes = (const float *)boxes->data + r / classes * q.n * 4;
        counts[r] = search_class(&q, (const float *)scores->data + r * q.n, found + r * q.most);
        total += counts[r];
    }
    struct tensor *y = NULL;
    s = op_out_new(c, 0, DTYPE_INT64, 2, (int64_t[]){(int64_t)total, 3}, &y);
    if (s != STATUS_OK || !y)
        return s;
    int64_t *to = y->data;
    for (size_t r = 0; r < rows; r++)
        for (size_t k = 0; k < counts[r]; k++) {
            *to++ = (int64_t)(r / classes);
            *to++ = (int64_t)(r % classes);
            *to++ = found[r * q.most + k];
        }
    return STATUS_OK;
}

const struct op_row op_family_non_max_suppression[] = {
    {.name = "NonMaxSuppression", .since = 10, .infer = nms_infer, .run = nms_run},
    OP_END,
};
