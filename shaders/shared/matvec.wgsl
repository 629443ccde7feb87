// The product of one token with eight rows. Four lanes share two blocks of 32 columns, a quarter of each per lane, then go
// on to the next two; each lane handles all eight rows, so that an input is read once for them.
// Expects the bindings `out` and `params`; from the weight `quarter_dot`, BLOCK_WORDS, COLS_STEP, LATER, FIRST_SCALES,
// LATER_SCALES, FIRST_OFFSETS and LATER_OFFSETS; from the fusion NORMED, GATED, `n_results`, `x_at` and `finish`; `Thread`,
// `put_lane` and `lane_index` of shared/lane_sums.wgsl.
struct MatvecParams {
    n_tokens: u32,
    n_rows: u32, // of the weight
    n_cols: u32,
    groups_x: u32,
    eps: f32, // of the norm, where there is one
}

const ROWS: u32 = 8u;
const LANES: u32 = 32u;

// A quarter of the input of two blocks, scaled for weights that stay in the high bits of their word, and the offset that
// the unsigned storage of the weights adds to the products.
struct ScaledInput {
    first: vec4<f32>,
    later: vec4<f32>,
    next_first: vec4<f32>,
    next_later: vec4<f32>,
    offsets: vec2<f32>,
}

fn scaled_input(token: u32, col: u32) -> ScaledInput {
    let first = x_at(token, col);
    let later = x_at(token, col + LATER);
    let next_first = x_at(token, col + 32u);
    let next_later = x_at(token, col + 32u + LATER);
    let offset = dot(first, FIRST_OFFSETS) + dot(later, LATER_OFFSETS);
    let next_offset = dot(next_first, FIRST_OFFSETS) + dot(next_later, LATER_OFFSETS);
    return ScaledInput(
        first * FIRST_SCALES,
        later * LATER_SCALES,
        next_first * FIRST_SCALES,
        next_later * LATER_SCALES,
        vec2<f32>(offset, next_offset),
    );
}

// The contribution to one row of a quarter of the block whose values begin at `word` and of the next block.
fn blocks_dot(word: u32, pair: u32, input: ScaledInput) -> f32 {
    let scale = unpack2x16float(pair);
    return (quarter_dot(word, input.first, input.later) - input.offsets.x) * scale.x
        + (quarter_dot(word + BLOCK_WORDS, input.next_first, input.next_later) - input.offsets.y) * scale.y;
}

// The same for four rows.
fn rows_dot(words: vec4<u32>, pairs: vec4<u32>, input: ScaledInput) -> vec4<f32> {
    return vec4<f32>(
        blocks_dot(words.x, pairs.x, input),
        blocks_dot(words.y, pairs.y, input),
        blocks_dot(words.z, pairs.z, input),
        blocks_dot(words.w, pairs.w, input),
    );
}

// The contribution of one lane to the products of a token with eight rows from `row` on, clamped to `last`.
fn lane_sums(token: u32, row: u32, last: u32, lane: u32) -> array<vec4<f32>, 2> {
    let blocks = (params.n_cols + 31u) / 32u;
    // First blocks of the rows. Rows past the last are computed as the last and not stored.
    let low = min(vec4<u32>(row) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(last)) * blocks;
    let high = min(vec4<u32>(row) + vec4<u32>(4u, 5u, 6u, 7u), vec4<u32>(last)) * blocks;
    let quarter = lane % 4u;
    let low_word = low * BLOCK_WORDS + quarter;
    let high_word = high * BLOCK_WORDS + quarter;
    let low_pair = low / 2u;
    let high_pair = high / 2u;
    let col = quarter * COLS_STEP;
    var low_sums = vec4<f32>(0.0);
    var high_sums = vec4<f32>(0.0);
    // Two loops: a branch inside one loop would cost an emulated GPU time in every step.
    if (blocks % 2u == 0u) {
        for (var block = lane / 4u * 2u; block < blocks; block += LANES / 2u) {
            let input = scaled_input(token, block * 32u + col);
            let word = block * BLOCK_WORDS;
            low_sums += rows_dot(low_word + word, scale_words(low_pair + block / 2u), input);
            high_sums += rows_dot(high_word + word, scale_words(high_pair + block / 2u), input);
        }
    } else {
        let low_odd = low % 2u == vec4<u32>(1u);
        let high_odd = high % 2u == vec4<u32>(1u);
        for (var block = lane / 4u * 2u; block < blocks; block += LANES / 2u) {
            let input = scaled_input(token, block * 32u + col);
            let word = block * BLOCK_WORDS;
            let both = block + 1u < blocks;
            let low_pairs = straddling_scales(low_pair + block / 2u, low_odd, both);
            let high_pairs = straddling_scales(high_pair + block / 2u, high_odd, both);
            low_sums += rows_dot(low_word + word, low_pairs, input);
            high_sums += rows_dot(high_word + word, high_pairs, input);
        }
    }
    return array<vec4<f32>, 2>(low_sums, high_sums);
}

// The contribution of a lane to the sum of squares of a token.
fn lane_squares(token: u32, lane: u32) -> f32 {
    var sum = 0.0;
    for (var col = lane * 4u; col < params.n_cols; col += LANES * 4u) {
        let values = input_at(token, col);
        sum += dot(values, values);
    }
    return sum;
}

// The sum over the lanes of a row.
fn lane_total(thread: Thread, row: u32) -> f32 {
    var total = 0.0;
    for (var i = 0u; i < n_lane_values(thread); i++) {
        total += lane_values[lane_index(row, i)];
    }
    return total;
}

// Sums over all lanes: each of the first eight threads returns the total of its row. Every thread must call it.
fn over_lanes(thread: Thread, sums: array<vec4<f32>, 2>) -> f32 {
    put_lane(thread, 0u, sums[0].x);
    put_lane(thread, 1u, sums[0].y);
    put_lane(thread, 2u, sums[0].z);
    put_lane(thread, 3u, sums[0].w);
    put_lane(thread, 4u, sums[1].x);
    put_lane(thread, 5u, sums[1].y);
    put_lane(thread, 6u, sums[1].z);
    put_lane(thread, 7u, sums[1].w);
    workgroupBarrier();
    var total = 0.0;
    if (thread.local < ROWS) {
        total = lane_total(thread, thread.local);
    }
    return total;
}

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3<u32>, thread: Thread) {
    let lane = thread.local;
    let rows = n_results();
    let row_groups = (rows + ROWS - 1u) / ROWS;
    let index = group.y * params.groups_x + group.x;
    if (index >= row_groups * params.n_tokens) {
        return;
    }
    let token = index / row_groups;
    let row = (index % row_groups) * ROWS;
    if (NORMED) {
        put_lane(thread, ROWS, lane_squares(token, lane));
    }
    var total = vec3<f32>(over_lanes(thread, lane_sums(token, row, rows - 1u, lane)), 0.0, 0.0);
    if (GATED) {
        workgroupBarrier();
        total.y = over_lanes(thread, lane_sums(token, row + rows, 2u * rows - 1u, lane));
    }
    if (lane < ROWS && row + lane < rows) {
        if (NORMED) {
            total.z = lane_total(thread, ROWS);
        }
        out[token * rows + row + lane] = finish(token, row + lane, total);
    }
}
