/* What takes the time: scoring every line of a text on its own, and then in its document. `detector.features.hash_lines`,
   `detector.model.Model` and `detector.context.context_features` do the same with numpy, and say what is computed and why; the results are the same
   to the bit.

   Sums are of integers, and the few operations in floating point are those that numpy does, in the same order: never compile this with an option
   that lets the compiler contract or reorder them (-ffp-contract=off, no -ffast-math). */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

/* Raised with every change of what a caller may see; `detector.native` takes a library of its own version only. */
#define VERSION 1

#if defined(__GNUC__)
#define FETCH(at) __builtin_prefetch(at)
#else
#define FETCH(at) (void)(at)
#endif

#define PADDING 128   /* zero bytes behind the folded text and its marks: loads and looks ahead stay inside */
#define TOKENS 192    /* tokens that are hashed, then looked up, in one go: what is fetched ahead for them stays in the smallest cache */
#define SEGMENT 32768 /* bytes of text that are worked on at once, or one line */
#define ASCII_RUN 16  /* bytes that are folded at once */
#define RING 16       /* a power of two above the words of a window */

/* Marks of each byte of the folded text. */
enum { IN_WORD = 1, EDGE = 2, WIDE_SPACE = 4, UNSPACED_START = 8 };
/* Classes of `detector.characters`. */
enum { SPACE = 0, PUNCTUATION = 1, WORD = 2, UNSPACED = 3 };

typedef struct {
    const int32_t *table; /* as in `Model.table` and `Model.units`, 2**bits + 1 of each */
    const int64_t *units;
    const uint8_t *class_of_code;
    const uint16_t *fold_of_code;
    double bias, grid, gate, trough;
    uint64_t multipliers[4], kind_multipliers[8];
    int64_t bits, pair, longest, square_bits, squares_to_one, apart, peak_words, trough_words, least_words, most_words;
} Settings;

typedef struct {
    int64_t words, evidence, squares; /* so far: tokens, evidence with all hot occurrences, squared IDF */
    int64_t hot, pairs;               /* evidence of hot occurrences, and of pairs of words */
    int64_t running[RING];            /* evidence before each of the last tokens */
    int64_t peak, least;              /* largest and smallest sum over a window */
    uint32_t first, second, last, before; /* hashes of the first two words and of the last two */
    int64_t *hot_buckets;             /* of this line, every occurrence */
    size_t n_hot, room;
} Line;

static inline uint64_t load(const uint8_t *at) {
    uint64_t word;
    memcpy(&word, at, 8);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

static inline int first_bit(uint64_t bits) {
#if defined(__GNUC__)
    return __builtin_ctzll(bits);
#else
    int n = 0;
    while (!(bits & 1)) bits >>= 1, n++;
    return n;
#endif
}

/* The first `length` bytes of a word; all for 8 and more, none for 0 and less. */
static inline uint64_t kept(uint64_t word, int64_t length) {
    return length >= 8 ? word : length <= 0 ? 0 : word & (~(uint64_t)0 >> (64 - 8 * length));
}

static inline int length_of_lead(uint8_t byte) { return 1 + (byte >= 0xC0) + (byte >= 0xE0) + (byte >= 0xF0); }

/* 64-bit hash of a run of bytes; its first 8 bytes count times `multiplier`. */
static inline uint64_t hash_span(const Settings *s, const uint8_t *at, int64_t length, uint64_t first_eight, uint64_t multiplier) {
    uint64_t hash = kept(first_eight, length) * multiplier;
    for (int k = 1; k < 4 && length > 8 * k; k++) hash += kept(load(at + 8 * k), length - 8 * k) * s->multipliers[k];
    if (length > s->longest) hash += (uint64_t)length * ((uint64_t)s->pair << 32 | (uint64_t)s->pair);
    return hash;
}

static inline int64_t bucket_of(const Settings *s, uint32_t hash, int kind) {
    return (uint32_t)((hash ^ hash >> 15) * (uint32_t)s->kind_multipliers[kind]) >> (32 - s->bits);
}

static inline void fold_byte(uint8_t byte, uint8_t *folded, uint8_t *mark) {
    byte += (uint8_t)(byte - 'A') < 26 ? 'a' - 'A' : 0;
    byte = (uint8_t)(byte - '0') < 10 ? '0' : byte;
    *folded = byte;
    *mark = ((uint8_t)(byte - 'a') < 26) | (byte == '0') | (byte == '_');
}

/* Fold as many bytes as stand before the first that isn't ASCII, `ASCII_RUN` at most; of the others nothing is known. */
static inline int fold_ascii(const uint8_t *raw, uint8_t *folded, uint8_t *marks) {
    for (int k = 0; k < ASCII_RUN; k++) fold_byte(raw[k], folded + k, marks + k); /* the compiler makes a few wide instructions of it */
    for (int k = 0; k < ASCII_RUN; k += 8) {
        const uint64_t beyond = load(raw + k) & 0x8080808080808080;
        if (beyond) return k + first_bit(beyond) / 8;
    }
    return ASCII_RUN;
}

/* Fold the text and mark its bytes, as `features._fold` does; returns the number of bytes, which is smaller where characters go. */
static int64_t fold(const Settings *s, const uint8_t *raw, int64_t n, uint8_t *folded, uint8_t *marks) {
    int64_t i = 0, to = 0;
    uint8_t edge = 0; /* whether a character of an unspaced script ended here */
    while (i < n) {
        const int64_t run = i + ASCII_RUN <= n ? fold_ascii(raw + i, folded + to, marks + to) : raw[i] < 0x80;
        if (run == 1 && i + ASCII_RUN > n) fold_byte(raw[i], folded + to, marks + to);
        if (run) {
            marks[to] |= edge;
            edge = 0;
            i += run;
            to += run;
            if (run == ASCII_RUN) continue;
        }
        while (i < n && raw[i] >= 0x80) {
            const uint8_t byte = raw[i];
            int length = length_of_lead(byte);
            if (i + length > n) length = (int)(n - i); /* no UTF-8 */
            uint32_t code = byte & (0xFF >> (length + 1));
            for (int k = 1; k < length; k++) code = code << 6 | (raw[i + k] & 0x3F);
            if (code > 0x10FFFF) code = 0xFFFD;
            if (code == 0xAD) { /* the soft hyphen goes */
                i += length;
                continue;
            }
            if (code == 0x130 || code == 0x131) { /* Turkish letters */
                folded[to] = 'i';
                marks[to++] = IN_WORD | edge;
                edge = 0;
                i += length;
                continue;
            }
            memcpy(folded + to, raw + i, (size_t)length);
            if (length < 4) {
                uint32_t lower = s->fold_of_code[code];
                if (lower != code) {
                    for (int k = length - 1; k > 0; k--, lower >>= 6) folded[to + k] = 0x80 | (lower & 0x3F);
                    folded[to] = ((0xF00 >> length) & 0xFF) | (uint8_t)lower;
                }
            }
            uint8_t class = s->class_of_code[code];
            memset(marks + to, class >= WORD ? IN_WORD : class == SPACE ? WIDE_SPACE : 0, (size_t)length);
            marks[to] |= edge | (class == UNSPACED ? EDGE | UNSPACED_START : 0);
            edge = class == UNSPACED ? EDGE : 0;
            i += length;
            to += length;
        }
    }
    memset(folded + to, 0, PADDING);
    memset(marks + to, 0, PADDING);
    return to;
}

/* Buckets of the prefixes of a token that has more than ASCII among its first bytes, or of the runs of characters that it begins. */
static void wide_prefixes(const Settings *s, const uint8_t *folded, const uint8_t *marks, int64_t start, int64_t end, uint64_t first_eight,
                          int64_t *four, int64_t *six) {
    int64_t none = (int64_t)1 << s->bits, shift = 64 - s->bits, at = start;
    int64_t *prefixes[2] = {four, six};
    if (marks[start] & UNSPACED_START) {
        *four = *six = none;
        for (int more = 1; more < 4; more++) {
            at += length_of_lead(folded[at]);
            if (!(marks[at] & UNSPACED_START)) return;
            if (more < 2) continue;
            int64_t length = at + length_of_lead(folded[at]) - start;
            uint64_t hash = kept(first_eight, length) * s->kind_multipliers[more - 1];
            hash += kept(load(folded + start + 8), length - 8) * s->multipliers[1];
            *prefixes[more - 2] = (int64_t)(hash >> shift);
        }
        return;
    }
    int hangul = folded[start] >= 0xEA && folded[start] <= 0xED;
    int characters = 0;
    for (int row = 0; row < 2; row++) {
        for (int wanted = hangul ? 2 + row : 4 + 2 * row; characters < wanted; characters++) at += length_of_lead(folded[at]);
        uint64_t hash = at < end ? hash_span(s, folded + start, at - start, first_eight, s->kind_multipliers[row + 1]) : 0;
        *prefixes[row] = at < end ? (int64_t)(hash >> shift) : none;
    }
}

static int add_hot(Line *line, int64_t bucket) {
    if (line->n_hot == line->room) {
        size_t room = line->room ? 2 * line->room : 256;
        int64_t *more = realloc(line->hot_buckets, room * sizeof *more);
        if (!more) return -1;
        line->hot_buckets = more;
        line->room = room;
    }
    line->hot_buckets[line->n_hot++] = bucket;
    return 0;
}

/* Tokens that wait: where they start and end, and of those that were hashed the words and buckets. */
typedef struct {
    int64_t starts[TOKENS + 65], ends[TOKENS + 65];
    uint32_t words[TOKENS + 65];
    int64_t buckets[4][TOKENS + 65];
    int64_t n_starts, n_ends, hashed;
} Waiting;

/* Hash the tokens that wait and add their evidence to the line; but for the last, whose pair is not known before the line ends. */
static int add_tokens(const Settings *s, Line *line, Waiting *w, const uint8_t *folded, const uint8_t *marks, int at_end) {
    const int64_t none = (int64_t)1 << s->bits, shift = 64 - s->bits, n = w->n_ends;
    const int32_t *table = s->table;
    const uint32_t pair = (uint32_t)s->pair;
    const uint64_t by_word = s->multipliers[0], by_four = s->kind_multipliers[1], by_six = s->kind_multipliers[2];
    for (int64_t k = w->hashed; k < n; k++) {
        const int64_t start = w->starts[k], length = w->ends[k] - start;
        const uint64_t first_eight = load(folded + start);
        uint64_t hash = kept(first_eight, length) * by_word;
        if (length > 8) hash = hash_span(s, folded + start, length, first_eight, by_word);
        w->words[k] = (uint32_t)(hash >> 32);
        w->buckets[0][k] = (int64_t)(hash >> shift);
        int64_t four = (int64_t)(((first_eight & 0xFFFFFFFF) * by_four) >> shift), six = (int64_t)(((first_eight & 0xFFFFFFFFFFFF) * by_six) >> shift);
        four = length > 4 ? four : none;
        six = length > 6 ? six : none;
        if ((first_eight & 0x808080808080) && (length > 4 || marks[start] & UNSPACED_START))
            wide_prefixes(s, folded, marks, start, w->ends[k], first_eight, &four, &six);
        w->buckets[1][k] = four;
        w->buckets[2][k] = six;
        FETCH(table + w->buckets[0][k]);
        FETCH(table + four);
        FETCH(table + six);
    }
    const int64_t done = at_end ? n : n - 1;
    for (int64_t k = 0; k < n - 1; k++) {
        w->buckets[3][k] = bucket_of(s, w->words[k] * pair + w->words[k + 1], 3);
        FETCH(table + w->buckets[3][k]);
    }
    if (at_end && n) w->buckets[3][n - 1] = none;

    const int square_bits = (int)s->square_bits;
    const int64_t peak_words = s->peak_words, trough_words = s->trough_words;
    const int32_t mask = (1 << square_bits) - 1, hot_below = (int32_t)((s->apart + 1) * (1 << s->square_bits));
    int64_t running = line->evidence, squares = 0, pairs = 0;
    for (int64_t k = 0; k < done; k++) {
        int32_t sum = 0, least = 0;
        for (int kind = 0; kind < 4; kind++) {
            int32_t found = table[w->buckets[kind][k]];
            sum += found;
            least = found < least ? found : least;
            if (kind == 3) pairs += found >> square_bits;
        }
        int64_t evidence = sum >> square_bits;
        squares += sum & mask;
        if (least < hot_below)
            for (int kind = 0; kind < 4; kind++) {
                int64_t bucket = w->buckets[kind][k];
                if (table[bucket] >= hot_below) continue;
                evidence += s->units[bucket] - s->apart;
                line->hot += s->units[bucket];
                if (kind == 3) pairs += s->units[bucket] - s->apart;
                if (add_hot(line, bucket)) return -1;
            }
        const int64_t t = line->words + k;
        line->running[t & (RING - 1)] = running;
        running += evidence;
        if (t + 1 >= trough_words) {
            int64_t window = running - line->running[(t + 1 - trough_words) & (RING - 1)];
            line->least = window < line->least ? window : line->least;
            if (t + 1 >= peak_words) {
                window = running - line->running[(t + 1 - peak_words) & (RING - 1)];
                line->peak = window > line->peak ? window : line->peak;
            }
        }
    }
    line->squares += squares;
    line->pairs += pairs;
    if (done > 0) {
        if (!line->words) line->first = w->words[0], line->second = n > 1 ? w->words[1] : 0;
        line->words += done;
        line->evidence = running;
        if (at_end) line->last = w->words[n - 1];
        if (n > 1) line->before = w->words[n - 2];
        for (int64_t k = done; k < w->n_starts; k++) w->starts[k - done] = w->starts[k];
        if (done < n) { /* the last one goes on waiting, hashed */
            w->ends[0] = w->ends[done];
            w->words[0] = w->words[done];
            for (int kind = 0; kind < 3; kind++) w->buckets[kind][0] = w->buckets[kind][done];
        }
        w->n_starts -= done;
        w->n_ends -= done;
    }
    w->hashed = w->n_ends;
    return 0;
}

/* A bit for each of 64 marks. */
static inline uint64_t bits_of(const uint8_t *marks, int shift) {
    uint64_t bits = 0;
    for (int k = 0; k < 8; k++) bits |= ((load(marks + 8 * k) >> shift & 0x0101010101010101) * 0x0102040810204080 >> 56) << (8 * k);
    return bits;
}

static int by_bucket(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Evidence of the distinct hot buckets of a line. */
static int64_t sum_of_hot(const Settings *s, Line *line) {
    int64_t sum = 0;
    if (line->n_hot > 24) {
        qsort(line->hot_buckets, line->n_hot, sizeof *line->hot_buckets, by_bucket);
        for (size_t i = 0; i < line->n_hot; i++)
            if (!i || line->hot_buckets[i] != line->hot_buckets[i - 1]) sum += s->units[line->hot_buckets[i]];
        return sum;
    }
    for (size_t i = 0; i < line->n_hot; i++) {
        int64_t bucket = line->hot_buckets[i];
        size_t j = 0;
        while (line->hot_buckets[j] != bucket) j++;
        sum += i == j ? s->units[bucket] : 0;
    }
    return sum;
}

/* Read the line at start to end: its tokens and their evidence. */
static int read_line(const Settings *s, Line *line, Waiting *w, const uint8_t *folded, const uint8_t *marks, int64_t start, int64_t end) {
    line->words = line->evidence = line->squares = line->hot = line->pairs = 0;
    line->peak = INT64_MIN;
    line->least = INT64_MAX;
    line->n_hot = 0;
    w->n_starts = w->n_ends = w->hashed = 0;
    uint64_t carry = 0;
    for (int64_t at = start; at < end; at += 64) {
        uint64_t words = bits_of(marks + at, 0), edges = bits_of(marks + at, 1);
        if (end - at < 64) words &= ~(uint64_t)0 >> (64 - (end - at));
        uint64_t before = words << 1 | carry;
        for (uint64_t starts = words & (~before | edges); starts; starts &= starts - 1) w->starts[w->n_starts++] = at + first_bit(starts);
        for (uint64_t ends = before & (~words | edges); ends; ends &= ends - 1) w->ends[w->n_ends++] = at + first_bit(ends);
        carry = words >> 63;
        if (w->n_ends > TOKENS - 64 && add_tokens(s, line, w, folded, marks, 0)) return -1;
    }
    if (carry) w->ends[w->n_ends++] = end;
    return add_tokens(s, line, w, folded, marks, 1);
}

/* Buckets of the kinds first, last, first_two and last_two of a line that has words; returns how many it has. */
static int buckets_of_line(const Settings *s, const Line *line, int64_t *buckets) {
    const uint32_t pair = (uint32_t)s->pair;
    const uint32_t hashes[4] = {line->first, line->last, line->first * pair + line->second, line->before * pair + line->last};
    const int n = line->words > 1 ? 4 : 2;
    for (int kind = 0; kind < n; kind++) buckets[kind] = bucket_of(s, hashes[kind], 4 + kind);
    return n;
}

/* Log-odds of a line that was read, and whether it is suspect. */
static int score_line(const Settings *s, Line *line, double *log_odds, uint8_t *suspect) {
    *log_odds = s->bias;
    *suspect = 0;
    if (!line->words) return 0;

    const int64_t words = line->words, evidence = line->evidence;
    const int32_t *table = s->table, apart = (int32_t)(s->apart * (1 << s->square_bits)), hot_below = apart + (1 << s->square_bits);
    const double norm = sqrt((double)line->squares / (double)(s->squares_to_one * words)); /* of one word, in the mean */
    int64_t buckets[4];
    int32_t sum = 0;
    for (int kind = 0, n = buckets_of_line(s, line, buckets); kind < n; kind++) {
        const int64_t bucket = buckets[kind];
        int32_t found = table[bucket];
        if (found < hot_below) {
            if (add_hot(line, bucket)) return -1;
            found -= apart;
        }
        sum += found;
    }
    int64_t total = evidence + (sum >> s->square_bits), squares = line->squares + (sum & ((1 << s->square_bits) - 1));
    total += sum_of_hot(s, line) - line->hot; /* hot buckets count once in a line */
    *log_odds += (double)total * s->grid / sqrt((double)squares / (double)s->squares_to_one);

    if (words < s->least_words || words > s->most_words) return 0;
    const double window = sqrt((double)(words < s->peak_words ? words : s->peak_words));
    const double wanted = (s->gate - s->bias) / s->grid * norm * window;
    const int64_t peak = words > s->peak_words ? line->peak : evidence, least = words < s->trough_words ? evidence : line->least;
    *suspect = (*log_odds >= s->gate || (double)peak >= wanted) && (double)least * s->grid <= s->trough;
    return 0;
}

static int is_blank(const Settings *s, const uint8_t *folded, const uint8_t *marks, int64_t start, int64_t end) {
    for (int64_t i = start; i < end; i++)
        if (!(folded[i] < 0x80 ? s->class_of_code[folded[i]] == SPACE : marks[i] & WIDE_SPACE)) return 0;
    return 1;
}

EXPORT int consent_version(void) { return VERSION; }

EXPORT int64_t consent_count_newlines(const uint8_t *raw, int64_t n) {
    int64_t count = 0;
    while (n > 0) { /* a few hundred bytes at a time are counted in bytes */
        uint8_t here = 0;
        const int64_t run = n < 240 ? n : 240;
        for (int64_t i = 0; i < run; i++) here += raw[i] == '\n';
        count += here;
        raw += run;
        n -= run;
    }
    return count;
}

/* Where the lines from `at` on end that are worked on together: few enough for the cache, but at least one. */
static int64_t end_of_segment(const uint8_t *raw, int64_t at, int64_t n) {
    if (n - at <= SEGMENT) return n;
    int64_t end = at + SEGMENT;
    while (end > at && raw[end] != '\n') end--;
    if (raw[end] == '\n') return end;
    const uint8_t *found = memchr(raw + at + SEGMENT, '\n', (size_t)(n - at - SEGMENT));
    return found ? found - raw : n;
}

/* Score the lines of UTF-8; only "\n" ends a line. Of each line `numbers` gets the log-odds (as bits of a double), then of each the number of
   tokens, then of all but the last the place of the newline; `flags` whether it is suspect, then of each whether it is blank. Returns 0, or -1 if
   there is no memory.

   With `sums`, of each line what `Model.sums_of_lines` says is written there instead; the other two are not touched. */
EXPORT int consent_score_lines(const Settings *s, const uint8_t *raw, int64_t n, int64_t n_lines, int64_t *numbers, uint8_t *flags, int64_t *sums) {
    double *log_odds = (double *)numbers;
    int64_t *n_tokens = numbers + n_lines, *newlines = numbers + 2 * n_lines;
    uint8_t *suspect = flags, *blank = flags + n_lines;
    uint8_t *folded = NULL;
    size_t room = 0;
    Waiting *waiting = malloc(sizeof *waiting);
    Line line = {0};
    int failed = waiting ? 0 : -1;
    for (int64_t i = 0, at = 0; i < n_lines && !failed;) { /* some lines at a time */
        const int64_t stop = end_of_segment(raw, at, n);
        if ((size_t)(stop - at) + PADDING > room) {
            room = (size_t)(stop - at > SEGMENT ? stop - at : SEGMENT) + PADDING;
            free(folded);
            folded = malloc(2 * room);
            if (!folded) failed = -1;
        }
        const uint8_t *found = raw;
        uint8_t *marks = folded + room;
        const int64_t length = failed ? 0 : fold(s, raw + at, stop - at, folded, marks);
        for (int64_t start = 0, from = at; found && i < n_lines && !failed; i++) {
            found = memchr(folded + start, '\n', (size_t)(length - start));
            const int64_t end = found ? found - folded : length;
            failed = read_line(s, &line, waiting, folded, marks, start, end);
            if (sums) {
                int64_t buckets[4], *row = sums + 6 * i;
                row[0] = line.words, row[1] = line.evidence, row[2] = line.squares, row[3] = row[4] = 0, row[5] = line.pairs;
                for (int kind = 0, m = line.words ? buckets_of_line(s, &line, buckets) : 0; kind < m; kind++) row[3 + kind % 2] += s->units[buckets[kind]];
            } else {
                failed = failed || score_line(s, &line, log_odds + i, suspect + i);
                n_tokens[i] = line.words;
                blank[i] = !line.words && is_blank(s, folded, marks, start, end);
                if (i < n_lines - 1) { /* the place of the newline in the text as it came, which is longer where characters went */
                    const uint8_t *newline = length == stop - at ? raw + at + end : found ? memchr(raw + from, '\n', (size_t)(n - from)) : raw + stop;
                    newlines[i] = newline - raw;
                    from = newlines[i] + 1;
                }
            }
            start = end + 1;
        }
        at = stop + 1;
    }
    free(line.hot_buckets);
    free(waiting);
    free(folded);
    return failed ? -1 : 0;
}

/* Paragraphs of documents, as `detector.context.Layout` has them. */
typedef struct {
    int64_t n_rows;        /* paragraphs that are wanted */
    const int64_t *bounds; /* document i has the paragraphs bounds[i] to bounds[i + 1] */
    const int64_t *rows;   /* the wanted ones, ascending; NULL for all */
    const int64_t *n_tokens;
    const double *own, *refined; /* log-odds */
    const double *lengths;       /* logarithms of 1 and the number of tokens */
    const int64_t *sums;         /* of the probabilities of all paragraphs before each, `one` to one; one more than there are paragraphs */
    const double *logarithms;    /* of 1 and more, up to the size of the largest document */
    double limit, outside, doubtful, short_words, few_paragraphs, one;
    int64_t windows[4], middle, peak;
} Paragraphs;

typedef struct {
    int64_t here, first, last; /* of the paragraph, of the first of its document, and of the first of the next */
} Row;

/* The next wanted paragraph; call it for rows from 0 on, with the same `document`, 0 at first. */
static inline Row row_at(const Paragraphs *p, int64_t i, int64_t *document) {
    const int64_t here = p->rows ? p->rows[i] : i;
    while (p->bounds[*document + 1] <= here) ++*document;
    return (Row){here, p->bounds[*document], p->bounds[*document + 1]};
}

static inline double clip(double value, double limit) {
    value = value < -limit ? -limit : value;
    return value > limit ? limit : value;
}

static inline double above(double value, double least) { return value - least > 0 ? value - least : 0; }

/* Sums of the probabilities of the paragraphs of its document before each row, of those after it, and of both: three columns. */
EXPORT void consent_sums(const Paragraphs *p, double *columns) {
    double *before = columns, *after = columns + p->n_rows, *both = columns + 2 * p->n_rows;
    for (int64_t i = 0, document = 0; i < p->n_rows; i++) {
        const Row row = row_at(p, i, &document);
        before[i] = (double)(p->sums[row.here] - p->sums[row.first]) / p->one;
        after[i] = (double)(p->sums[row.last] - p->sums[row.here + 1]) / p->one;
        both[i] = before[i] + after[i];
    }
}

/* Sum of the features of each row times their weights, beginning with the bias, in the order of `detector.context.FEATURES`; `sums` are the columns
   of `consent_sums`, and `logs` the logarithms of 1 and these. */
EXPORT void consent_context(const Paragraphs *p, const double *sums, const double *logs, const double *weights, double bias, double *result) {
    const int64_t n = p->n_rows;
    for (int64_t i = 0, document = 0; i < n; i++) {
        const Row row = row_at(p, i, &document);
        const int64_t here = row.here, size = row.last - row.first;
        const double own = clip(p->own[here], p->limit), refined = clip(p->refined[here], p->limit), length = p->lengths[here];
        const double brief = p->short_words / (p->short_words + (double)p->n_tokens[here]), few = p->few_paragraphs / (p->few_paragraphs + (double)size);
        const double n_others = size > 2 ? (double)size - 1 : 1, share = sums[2 * n + i] / n_others;
        double near[6], lengths_near[2], peaks[2] = {0, 0}, middle = 0, sum = bias;
        const double *w = weights;
#define ADD(feature) sum += (feature) * *w++
        for (int way = 0; way < 2; way++) {
            for (int k = 1; k <= p->peak; k++) {
                const int64_t at = way ? here + k : here - k;
                const int inside = at >= row.first && at < row.last;
                if (k <= 3) near[2 * (k - 1) + way] = inside ? clip(p->refined[at], p->limit) : p->outside;
                if (k == 1) lengths_near[way] = inside ? p->lengths[at] : 0;
                if (!inside) continue;
                const double probability = (double)(p->sums[at + 1] - p->sums[at]) / p->one;
                peaks[way] = probability > peaks[way] ? probability : peaks[way];
            }
        }
        ADD(own);
        ADD(above(own, 0));
        ADD(above(own, p->doubtful));
        ADD(refined);
        ADD(above(refined, 0));
        ADD(above(refined, p->doubtful));
        ADD(length);
        ADD(brief);
        ADD(own * length);
        for (int k = 0; k < 6; k++) ADD(near[k]);
        ADD(above(near[0], 0));
        ADD(above(near[1], 0));
        ADD(lengths_near[0]);
        ADD(lengths_near[1]);
        for (int k = 0; k < 4; k++) {
            const int64_t width = p->windows[k], from = here - width, to = here + 1 + width;
            const double up = (double)(p->sums[here] - p->sums[from > row.first ? from : row.first]) / ((double)width * p->one);
            const double down = (double)(p->sums[to < row.last ? to : row.last] - p->sums[here + 1]) / ((double)width * p->one);
            const double by_mean = brief * (up + down);
            middle = width == p->middle ? by_mean : middle;
            ADD(up);
            ADD(down);
            ADD(up * down);
            ADD(by_mean);
            ADD(own * (up + down));
        }
        ADD(peaks[0]);
        ADD(peaks[1]);
        ADD(peaks[0] * peaks[1]);
        ADD(own * peaks[0]);
        ADD(own * peaks[1]);
        ADD(logs[2 * n + i]);
        ADD(share);
        ADD(p->logarithms[size]);
        ADD(p->logarithms[here - row.first]);
        ADD(p->logarithms[row.last - 1 - here]);
        ADD(logs[i]);
        ADD(logs[n + i]);
        ADD(few);
        ADD(few * own);
        ADD(few * refined);
        ADD(few * length);
        ADD(few * near[0]);
        ADD(few * near[1]);
        ADD(few * peaks[0]);
        ADD(few * peaks[1]);
        ADD(few * share);
        ADD(few * middle);
#undef ADD
        result[i] = sum;
    }
}
