/* All steps of one direction of an LSTM, for rows of any lengths, without a gradient.

   A panel is the four gates of as many units as a vector has lanes. A block of rows times a panel stays in registers
   from the first product to the new state:

       chunk of steps    gates = x W + b                 for all tokens of the chunk, panel by panel
       each step         gates + h R, then the state     panel by panel, for the rows that are not at their end yet

   Where few different inputs come again and again, as words do, their share of the gates is formed once for each, or
   comes from an earlier call.

   Weights that are codes times a scale a row, as a model file stores them, are multiplied as codes, and the sums by the
   scales. For a few rows the codes are read in eight bits, of which a layer's fit the cache; for more as fp32. The
   numbers are the same, and so are the sums.

   Each row goes through the same operations in the same order, whatever rows are beside it, so its numbers do not
   depend on the batch. Weights are packed as `panel k gate lane`, in int8 as `panel k/4 gate lane 4`.

   In int8 a token's input has a scale of its own, its highest magnitude / 127, and a state, which never exceeds 1, has
   1/127; weights have a scale a row. Sums are exact integers.

   The order of the gates is that of ONNX: input, output, forget, candidate. */

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__AVX512F__)
#define LANES 16
#define BLOCK 6
#elif defined(__AVX2__)
#define LANES 8
#define BLOCK 3
#else
#define LANES 4
#define BLOCK 3
#endif

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#if defined(__AVX512VNNI__) && defined(__AVX512F__)
#define HAS_INT8 1
#else
#define HAS_INT8 0
#endif

#define INLINE static inline __attribute__((always_inline))
#define GATES 4
#define WIDTH (GATES * LANES)
#define CHUNK 192 /* tokens, whose gates stay in the cache */
#define FEW 12    /* rows for which weights are read as codes */

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t ivec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

int lstm_lanes(void) { return LANES; }
int lstm_has_int8(void) { return HAS_INT8; }

typedef struct {
    long steps, rows, inputs, units, distinct;
    const float *x;         /* steps rows inputs; or with an index, distinct inputs */
    const int64_t *index;   /* steps rows: which of the distinct inputs is read there; none where x has all in place */
    const float *known;     /* instead of x, with an index: the distinct inputs' share of the gates, as lstm_project */
    const int32_t *lengths; /* of each row */
    const int64_t *order;   /* rows, the longest first */
    const void *w, *r;      /* packed */
    const int8_t *w_codes, *r_codes; /* of fp32 with scales the same in eight bits, `panel k gate lane` */
    const float *bias;      /* panel gate lane */
    const float *w_scales, *r_scales; /* none where fp32 weights are what they are */
    const int32_t *w_start, *r_start; /* -128 * the sum of each column, as activations are stored from 0 to 255 */
    float *h, *c;           /* rows units: the states, first and last */
    float *y;               /* steps, rows and then units, with the distances below; zero where a row has ended */
    long y_step, y_row, known_row;
    int is_reverse, is_int8;
} Layer;

/* ---- functions of vectors */

INLINE vec splat(float number) { return (vec){0} + number; }
INLINE ivec isplat(int32_t number) { return (ivec){0} + number; }
INLINE vec choose(ivec where, vec yes, vec no) { return (vec)((where & (ivec)yes) | (~where & (ivec)no)); }

/* e to the x, to about one unit in the last place; Cephes' polynomial. Beyond +-87 it stays finite. */
INLINE vec exponential(vec x) {
    x = choose(x > splat(87.0f), splat(87.0f), x);
    x = choose(x < splat(-87.0f), splat(-87.0f), x);
    vec rounded = x * 1.44269504f + 12582912.0f;
    ivec power = (ivec)rounded - isplat(0x4B400000);
    vec n = rounded - 12582912.0f;
    vec rest = x - n * 0.693359375f;
    rest = rest + n * 2.12194440e-4f;
    vec p = splat(1.9875691500e-4f);
    p = p * rest + 1.3981999507e-3f;
    p = p * rest + 8.3334519073e-3f;
    p = p * rest + 4.1665795894e-2f;
    p = p * rest + 1.6666665459e-1f;
    p = p * rest + 5.0000001201e-1f;
    p = p * (rest * rest) + rest + 1.0f;
    return (vec)((ivec)p + (power << 23));
}

INLINE vec sigmoid(vec x) { return 1.0f / (1.0f + exponential(-x)); }
INLINE vec hyperbolic_tangent(vec x) { return 1.0f - 2.0f / (1.0f + exponential(x + x)); }

/* ---- products of a block of rows with a panel */

/* Codes as numbers; GCC 12 makes detours of its own way to convert a vector. */
INLINE vec numbers(const int8_t *codes) {
#if defined(__AVX512F__)
    return (vec)_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)codes)));
#elif defined(__AVX2__)
    return (vec)_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)codes)));
#else
    vec found;
    for (int lane = 0; lane < LANES; lane++) found[lane] = codes[lane];
    return found;
#endif
}

/* A panel is fp32, or codes. */
INLINE void multiply(int is_codes, int rows, const float *const *a, long k, const void *panel, vec sums[BLOCK][GATES]) {
    const float *plain = panel;
    const int8_t *codes = panel;
    for (long i = 0; i < k; i++, plain += WIDTH, codes += WIDTH) {
        vec b[GATES];
#pragma GCC unroll 4
        for (int gate = 0; gate < GATES; gate++)
            b[gate] = is_codes ? numbers(codes + gate * LANES) : *(const vec *)(plain + gate * LANES);
#pragma GCC unroll 8
        for (int row = 0; row < rows; row++) {
            vec value = splat(a[row][i]);
#pragma GCC unroll 4
            for (int gate = 0; gate < GATES; gate++) sums[row][gate] += value * b[gate];
        }
    }
}

#if HAS_INT8
INLINE void multiply_int8(int rows, const uint8_t *const *a, long k, const int8_t *panel, __m512i sums[BLOCK][GATES]) {
    for (long i = 0; i < k; i += 4, panel += 4 * WIDTH) {
        __m512i b[GATES];
#pragma GCC unroll 4
        for (int gate = 0; gate < GATES; gate++) b[gate] = _mm512_loadu_si512(panel + 4 * LANES * gate);
#pragma GCC unroll 8
        for (int row = 0; row < rows; row++) {
            int32_t four;
            memcpy(&four, a[row] + i, 4);
            __m512i value = _mm512_set1_epi32(four);
#pragma GCC unroll 4
            for (int gate = 0; gate < GATES; gate++) /* of the intrinsic GCC 12 makes copies in each turn */
                __asm__("vpdpbusd %2, %1, %0" : "+v"(sums[row][gate]) : "v"(value), "v"(b[gate]));
        }
    }
}
#endif

enum { PLAIN, SCALED, CODES, INT8 }; /* kinds of products */

/* What all kinds have in common: gates += scale * (a times the panel). */
INLINE void add_products(int kind, int rows, const void *const *a, const float *scales, long k, const void *panel,
                         const float *column_scales, const int32_t *start, vec gates[BLOCK][GATES]) {
    if (kind == PLAIN) {
        multiply(0, rows, (const float *const *)a, k, panel, gates);
        return;
    }
    if (kind != INT8) {
        vec sums[BLOCK][GATES] = {{{0}}};
        multiply(kind == CODES, rows, (const float *const *)a, k, panel, sums);
#pragma GCC unroll 8
        for (int row = 0; row < rows; row++)
#pragma GCC unroll 4
            for (int gate = 0; gate < GATES; gate++)
                gates[row][gate] += sums[row][gate] * *(const vec *)(column_scales + LANES * gate);
        return;
    }
#if HAS_INT8
    __m512i sums[BLOCK][GATES];
#pragma GCC unroll 8
    for (int row = 0; row < rows; row++)
#pragma GCC unroll 4
        for (int gate = 0; gate < GATES; gate++) sums[row][gate] = _mm512_loadu_si512(start + LANES * gate);
    multiply_int8(rows, (const uint8_t *const *)a, k, panel, sums);
#pragma GCC unroll 8
    for (int row = 0; row < rows; row++)
#pragma GCC unroll 4
        for (int gate = 0; gate < GATES; gate++) {
            vec scale = *(const vec *)(column_scales + LANES * gate) * scales[row];
            gates[row][gate] += (vec)_mm512_cvtepi32_ps(sums[row][gate]) * scale;
        }
#endif
}

/* ---- the two halves of a step */

typedef struct {
    const void *a[BLOCK];
    float scales[BLOCK];
    float *gates[BLOCK], *c[BLOCK], *h[BLOCK];
} Block;

INLINE void project_block(const Layer *l, int kind, int rows, const Block *block, long panel, long k, const void *w) {
    vec gates[BLOCK][GATES];
    for (int row = 0; row < rows; row++)
        for (int gate = 0; gate < GATES; gate++)
            gates[row][gate] = *(const vec *)(l->bias + panel * WIDTH + gate * LANES);
    add_products(kind, rows, block->a, block->scales, k, w, l->w_scales + panel * WIDTH,
                 l->w_start + panel * WIDTH, gates);
    for (int row = 0; row < rows; row++)
        for (int gate = 0; gate < GATES; gate++) *(vec *)(block->gates[row] + gate * LANES) = gates[row][gate];
}

INLINE void step_block(const Layer *l, int kind, int rows, const Block *block, long panel, long k, const void *r) {
    vec gates[BLOCK][GATES];
    for (int row = 0; row < rows; row++)
        for (int gate = 0; gate < GATES; gate++) {
            __builtin_prefetch(block->gates[row] + gate * LANES);
            gates[row][gate] = splat(0.0f);
        }
    add_products(kind, rows, block->a, block->scales, k, r, l->r_scales + panel * WIDTH,
                 l->r_start + panel * WIDTH, gates);
    for (int row = 0; row < rows; row++) {
        for (int gate = 0; gate < GATES; gate++) gates[row][gate] += *(const vec *)(block->gates[row] + gate * LANES);
        vec cell = *(const vec *)block->c[row];
        vec kept = sigmoid(gates[row][2]) * cell;
        cell = kept + sigmoid(gates[row][0]) * hyperbolic_tangent(gates[row][3]);
        *(vec *)block->c[row] = cell;
        *(vec *)block->h[row] = sigmoid(gates[row][1]) * hyperbolic_tangent(cell);
    }
}

/* One function for each kind and number of rows, so that all sums are in registers. */
#define FOR_ROWS(rows, call)                                                                                           \
    switch (rows) {                                                                                                    \
    case 1: call(1); break;                                                                                            \
    case 2: call(2); break;                                                                                            \
    case 3: call(3); break;                                                                                            \
    case 4: call(4); break;                                                                                            \
    case 5: call(5); break;                                                                                            \
    default: call(6); break;                                                                                           \
    }

#define FOR_KINDS(half, kind)                                                                                          \
    static __attribute__((noinline)) void half##_##kind(const Layer *l, int rows, const Block *block, long panel,      \
                                                        long k, const void *matrix) {                                  \
        FOR_ROWS(rows, half##_OF_##kind)                                                                               \
    }
#define project_OF_PLAIN(n) project_block(l, PLAIN, n <= BLOCK ? n : BLOCK, block, panel, k, matrix)
#define project_OF_SCALED(n) project_block(l, SCALED, n <= BLOCK ? n : BLOCK, block, panel, k, matrix)
#define project_OF_CODES(n) project_block(l, CODES, n <= BLOCK ? n : BLOCK, block, panel, k, matrix)
#define project_OF_INT8(n) project_block(l, INT8, n <= BLOCK ? n : BLOCK, block, panel, k, matrix)
#define step_OF_PLAIN(n) step_block(l, PLAIN, n <= BLOCK ? n : BLOCK, block, panel, k, matrix)
#define step_OF_SCALED(n) step_block(l, SCALED, n <= BLOCK ? n : BLOCK, block, panel, k, matrix)
#define step_OF_CODES(n) step_block(l, CODES, n <= BLOCK ? n : BLOCK, block, panel, k, matrix)
#define step_OF_INT8(n) step_block(l, INT8, n <= BLOCK ? n : BLOCK, block, panel, k, matrix)
FOR_KINDS(project, PLAIN)
FOR_KINDS(project, SCALED)
FOR_KINDS(project, CODES)
FOR_KINDS(project, INT8)
FOR_KINDS(step, PLAIN)
FOR_KINDS(step, SCALED)
FOR_KINDS(step, CODES)
FOR_KINDS(step, INT8)

typedef void Half(const Layer *l, int rows, const Block *block, long panel, long k, const void *matrix);
static Half *const project_rows[] = {project_PLAIN, project_SCALED, project_CODES, project_INT8};
static Half *const step_rows[] = {step_PLAIN, step_SCALED, step_CODES, step_INT8};

typedef struct {
    int kind;
    const char *matrix;
    long panel; /* bytes */
} Chosen;

/* The form of a matrix that suits a number of rows. */
static Chosen choose_form(const Layer *l, const void *matrix, const int8_t *codes, const float *scales, long k, long rows) {
    if (l->is_int8) return (Chosen){INT8, matrix, k * WIDTH};
    if (!scales) return (Chosen){PLAIN, matrix, k * WIDTH * 4};
    if (rows <= FEW) return (Chosen){CODES, (const char *)codes, k * WIDTH};
    return (Chosen){SCALED, matrix, k * WIDTH * 4};
}

/* ---- a plain product, by the same blocks: outputs = inputs W, of W packed as `panel k column` */

static __attribute__((noinline)) void product_block(int rows, const Block *block, long k, const float *w,
                                                    float sums[BLOCK][WIDTH]) {
#define PRODUCT(n)                                                                                                     \
    {                                                                                                                  \
        vec found[BLOCK][GATES] = {{{0}}};                                                                             \
        multiply(0, n <= BLOCK ? n : BLOCK, (const float *const *)block->a, k, w, found);                                 \
        memcpy(sums, found, sizeof(float) * WIDTH * (n <= BLOCK ? n : BLOCK));                                         \
    }
    FOR_ROWS(rows, PRODUCT)
}

void lstm_multiply(long rows, long inputs, long columns, const float *x, const float *w, float *y) {
    float sums[BLOCK][WIDTH];
    for (long first = 0; first < columns; first += WIDTH, w += inputs * WIDTH) {
        long width = columns - first < WIDTH ? columns - first : WIDTH;
        for (long n = 0; n < rows; n += BLOCK) {
            Block block;
            int filled = rows - n < BLOCK ? (int)(rows - n) : BLOCK;
            for (int row = 0; row < filled; row++) block.a[row] = x + (n + row) * inputs;
            product_block(filled, &block, inputs, w, sums);
            for (int row = 0; row < filled; row++)
                memcpy(y + (n + row) * columns + first, sums[row], sizeof(float) * width);
        }
    }
}

/* ---- activations in int8 */

static long rounded_up(long number, long to) { return (number + to - 1) / to * to; }

static void quantise(const float *values, long count, float factor, uint8_t *codes) {
    for (long i = 0; i < count; i++) {
        float scaled = values[i] * factor;
        scaled = scaled > 127.0f ? 127.0f : scaled < -127.0f ? -127.0f : scaled;
        codes[i] = (uint8_t)((int32_t)(scaled + 12582912.0f - 12582912.0f) + 128); /* to the nearest, ties to even */
    }
    for (long i = count; i % 4; i++) codes[i] = 128; /* zeros up to whole groups of four */
}

static float highest_magnitude(const float *values, long count) {
    float highest = 0.0f;
    for (long i = 0; i < count; i++) {
        float magnitude = values[i] < 0 ? -values[i] : values[i];
        highest = magnitude > highest ? magnitude : highest;
    }
    return highest;
}

/* ---- the layer */

static long active_rows(const Layer *l, long step) { /* at a step, those longer than it: the first ones of the order */
    long low = 0, high = l->rows;
    while (low < high) {
        long middle = (low + high) / 2;
        if (l->lengths[l->order[middle]] > step) low = middle + 1;
        else high = middle;
    }
    return low;
}

static long step_of(const Layer *l, long number) { return l->is_reverse ? l->steps - 1 - number : number; }

/* The inputs' share of all gates: those of a token, `panel gate lane`, are `distance` numbers behind the last one's. */
static void project(const Layer *l, long count, const float *const *tokens, long k, float *gates, long distance,
                    uint8_t *codes, float *scales) {
    const Chosen chosen = choose_form(l, l->w, l->w_codes, l->w_scales, k, count);
    if (l->is_int8)
        for (long token = 0; token < count; token++) {
            float highest = highest_magnitude(tokens[token], l->inputs);
            scales[token] = highest / 127.0f;
            quantise(tokens[token], l->inputs, highest > 0 ? 127.0f / highest : 0.0f, codes + token * k);
        }
    for (long panel = 0; panel < rounded_up(l->units, LANES) / LANES; panel++)
        for (long token = 0; token < count; token += BLOCK) {
            Block block;
            int filled = count - token < BLOCK ? (int)(count - token) : BLOCK;
            for (int row = 0; row < filled; row++) {
                block.a[row] = l->is_int8 ? (const void *)(codes + (token + row) * k) : tokens[token + row];
                block.scales[row] = scales[token + row];
                block.gates[row] = gates + (token + row) * distance + panel * WIDTH;
            }
            project_rows[chosen.kind](l, filled, &block, panel, k, chosen.matrix + panel * chosen.panel);
        }
}

static int run(const Layer *l) {
    const long panels = rounded_up(l->units, LANES) / LANES, padded = panels * LANES;
    const long most = l->known ? 0 : l->index ? l->distinct : l->rows > CHUNK ? l->rows : CHUNK;
    const long distance = l->known ? l->known_row : panels * WIDTH;
    const long k_x = l->is_int8 ? rounded_up(l->inputs, 4) : l->inputs;
    const long k_h = l->is_int8 ? rounded_up(l->units, 4) : l->units;
    float *made = malloc(sizeof(float) * (most * distance + 1));
    const float *gates = l->known ? l->known : made;
    float *h = calloc(l->rows * padded, sizeof(float)), *next = malloc(sizeof(float) * l->rows * padded);
    float *c = calloc(l->rows * padded, sizeof(float)), *scales = calloc(most + 1, sizeof(float));
    const float **tokens = malloc(sizeof(float *) * (most + 1));
    uint8_t *codes = l->is_int8 ? malloc(most * k_x + l->rows * k_h + 1) : NULL;
    uint8_t *h_codes = codes ? codes + most * k_x : NULL;
    int failed = !made || !h || !next || !c || !scales || !tokens || (l->is_int8 && !codes);
    if (failed) goto end;
    for (long row = 0; row < l->rows; row++) {
        memcpy(h + row * padded, l->h + row * l->units, sizeof(float) * l->units);
        memcpy(c + row * padded, l->c + row * l->units, sizeof(float) * l->units);
        if (l->is_int8) quantise(h + row * padded, l->units, 127.0f, h_codes + row * k_h);
    }
    if (l->index && !l->known) {
        for (long token = 0; token < l->distinct; token++) tokens[token] = l->x + token * l->inputs;
        project(l, l->distinct, tokens, k_x, made, distance, codes, scales);
    }
    for (long done = 0; done < l->steps;) {
        /* as many steps as fill a chunk, and the inputs' share for their tokens */
        long count = 0, filled = 0;
        while (done + count < l->steps) {
            long step = step_of(l, done + count), active = active_rows(l, step);
            if (l->index == NULL) {
                if (count && filled + active > most) break;
                for (long n = 0; n < active; n++)
                    tokens[filled++] = l->x + (step * l->rows + l->order[n]) * l->inputs;
            }
            count++;
        }
        if (l->index == NULL) project(l, filled, tokens, k_x, made, distance, codes, scales);
        /* step by step */
        long first = 0;
        for (long i = 0; i < count; i++) {
            long step = step_of(l, done + i), active = active_rows(l, step);
            const Chosen chosen = choose_form(l, l->r, l->r_codes, l->r_scales, k_h, active);
            for (long panel = 0; panel < panels; panel++)
                for (long n = 0; n < active; n += BLOCK) {
                    Block block;
                    int rows = active - n < BLOCK ? (int)(active - n) : BLOCK;
                    for (int row = 0; row < rows; row++) {
                        long at = l->order[n + row];
                        long token = l->index ? l->index[step * l->rows + at] : first + n + row;
                        block.a[row] = l->is_int8 ? (const void *)(h_codes + at * k_h) : (const void *)(h + at * padded);
                        block.scales[row] = 1.0f / 127.0f;
                        block.gates[row] = (float *)gates + token * distance + panel * WIDTH;
                        block.c[row] = c + at * padded + panel * LANES;
                        block.h[row] = next + at * padded + panel * LANES;
                    }
                    step_rows[chosen.kind](l, rows, &block, panel, k_h, chosen.matrix + panel * chosen.panel);
                }
            for (long n = 0; n < active; n++) {
                long at = l->order[n];
                memcpy(h + at * padded, next + at * padded, sizeof(float) * l->units);
                memcpy(l->y + step * l->y_step + at * l->y_row, next + at * padded, sizeof(float) * l->units);
                if (l->is_int8) quantise(h + at * padded, l->units, 127.0f, h_codes + at * k_h);
            }
            first += active;
        }
        done += count;
    }
    for (long row = 0; row < l->rows; row++) {
        memcpy(l->h + row * l->units, h + row * padded, sizeof(float) * l->units);
        memcpy(l->c + row * l->units, c + row * padded, sizeof(float) * l->units);
    }
end:
    free(made), free(h), free(next), free(c), free(codes), free(scales), free(tokens);
    return failed;
}

/* Form the distinct inputs' share of the gates, to be `known` to later calls; nonzero without memory. */
int lstm_project(const Layer *l, float *gates) {
    const long k = l->is_int8 ? rounded_up(l->inputs, 4) : l->inputs;
    const float **tokens = malloc(sizeof(float *) * (l->distinct + 1));
    float *scales = calloc(l->distinct + 1, sizeof(float));
    uint8_t *codes = l->is_int8 ? malloc(l->distinct * k + 1) : NULL;
    int failed = !tokens || !scales || (l->is_int8 && !codes);
    if (!failed) {
        for (long token = 0; token < l->distinct; token++) tokens[token] = l->x + token * l->inputs;
        project(l, l->distinct, tokens, k, gates, l->known_row, codes, scales);
    }
    free(tokens), free(scales), free(codes);
    return failed;
}

/* ---- a second thread, for the second direction of a few tokens

   It waits for work, first awake and then asleep. Work that it has not taken when the first direction is done is not
   waited for, so that a processor that is busy with other things costs little but this one's help. */

#define AWAKE 50e-6 /* seconds of waiting before one sleeps */

enum { IDLE, OFFERED, TAKEN, DONE };

static pthread_mutex_t using_helper = PTHREAD_MUTEX_INITIALIZER, asleep = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t offered = PTHREAD_COND_INITIALIZER, done = PTHREAD_COND_INITIALIZER;
static atomic_int work = IDLE;
static const Layer *work_layer;
static int work_failed, has_helper;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + 1e-9 * time.tv_nsec;
}

static void wait_for(int state, pthread_cond_t *said) {
    for (double end = now() + AWAKE; atomic_load(&work) != state && now() < end;) {
#if defined(__AVX2__)
        _mm_pause();
#endif
    }
    if (atomic_load(&work) == state) return;
    pthread_mutex_lock(&asleep);
    while (atomic_load(&work) != state) pthread_cond_wait(said, &asleep);
    pthread_mutex_unlock(&asleep);
}

static void say(int state, pthread_cond_t *said) {
    pthread_mutex_lock(&asleep);
    atomic_store(&work, state);
    pthread_cond_signal(said);
    pthread_mutex_unlock(&asleep);
}

static void *help(void *unused) {
    for (;;) {
        wait_for(OFFERED, &offered);
        int state = OFFERED;
        if (!atomic_compare_exchange_strong(&work, &state, TAKEN)) continue;
        work_failed = run(work_layer);
        say(DONE, &done);
    }
    return unused;
}

static void forget_helper(void) { /* in a forked process, which has one thread only */
    pthread_mutex_init(&using_helper, NULL);
    pthread_mutex_init(&asleep, NULL);
    pthread_cond_init(&offered, NULL);
    pthread_cond_init(&done, NULL);
    atomic_store(&work, IDLE);
    has_helper = 0;
}

static int start_helper(void) {
    static int is_told;
    pthread_t thread;
    sigset_t all, before;
    if (!is_told) is_told = !pthread_atfork(NULL, NULL, forget_helper);
    sigfillset(&all); /* signals are for the threads that people know of */
    if (!is_told || pthread_sigmask(SIG_SETMASK, &all, &before)) return 0;
    int failed = pthread_create(&thread, NULL, help, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) return 0;
    pthread_detach(thread);
    return 1;
}

/* Run one or two directions, the second beside the first if there is a processor for it; nonzero without memory. */
int lstm_run(const Layer *directions, int count, int is_parallel) {
    if (count == 1) return run(directions);
    if (!is_parallel || pthread_mutex_trylock(&using_helper)) return run(directions) | run(directions + 1);
    if (!has_helper) has_helper = start_helper();
    work_layer = directions + 1;
    if (has_helper) say(OFFERED, &offered);
    int failed = run(directions), state = OFFERED;
    if (!has_helper || atomic_compare_exchange_strong(&work, &state, IDLE)) failed |= run(directions + 1);
    else {
        wait_for(DONE, &done);
        failed |= work_failed;
        atomic_store(&work, IDLE);
    }
    pthread_mutex_unlock(&using_helper);
    return failed;
}
