// One workgroup per eight results of a token. Four lanes share two blocks of 32 columns, a quarter of each to a lane,
// and go on to the next; all eight rows are read at once, so that each input is read once for them.
// Expects the bindings `out` and `info`; of the weight `quarter_dot`, BLOCK_WORDS, COLS_STEP, LATER and what places the
// values and raises them; `Thread`, `leave` and `left_at` of shared/lanes.wgsl; and of the end `NORMED`, `GATED`, `results` and `finish`.
// info[0]: tokens, rows of W, cols, workgroups along x. info[1]: what the end needs.
const ROWS: u32 = 8u;
const LANES: u32 = 32u;

// A quarter of the input of two blocks, placed, and what the weights' being raised adds to their products.
struct Input {
    first: vec4<f32>,
    later: vec4<f32>,
    next_first: vec4<f32>,
    next_later: vec4<f32>,
    raised: vec2<f32>,
}

fn placed_input(token: u32, col: u32) -> Input {
    let first = x_at(token, col);
    let later = x_at(token, col + LATER);
    let next_first = x_at(token, col + 32u);
    let next_later = x_at(token, col + 32u + LATER);
    let raised = dot(first, FIRST_RAISED) + dot(later, LATER_RAISED);
    let next_raised = dot(next_first, FIRST_RAISED) + dot(next_later, LATER_RAISED);
    return Input(
        first * FIRST_PLACES,
        later * LATER_PLACES,
        next_first * FIRST_PLACES,
        next_later * LATER_PLACES,
        vec2<f32>(raised, next_raised),
    );
}

// What a quarter of a block, whose values begin at `word`, and of the next add to the product of a row.
fn blocks_dot(word: u32, pair: u32, input: Input) -> f32 {
    let scale = unpack2x16float(pair);
    return (quarter_dot(word, input.first, input.later) - input.raised.x) * scale.x
        + (quarter_dot(word + BLOCK_WORDS, input.next_first, input.next_later) - input.raised.y) * scale.y;
}

// The same for four rows.
fn rows_dot(words: vec4<u32>, pairs: vec4<u32>, input: Input) -> vec4<f32> {
    return vec4<f32>(
        blocks_dot(words.x, pairs.x, input),
        blocks_dot(words.y, pairs.y, input),
        blocks_dot(words.z, pairs.z, input),
        blocks_dot(words.w, pairs.w, input),
    );
}

// What the blocks of one lane add to the products of a token with `row`… up to `last`.
fn lane_sums(token: u32, row: u32, last: u32, lane: u32) -> array<vec4<f32>, 2> {
    let blocks = (info[0].z + 31u) / 32u;
    // First blocks of the rows. Rows past the last are computed like it, and not stored.
    let some = min(vec4<u32>(row) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(last)) * blocks;
    let rest = min(vec4<u32>(row) + vec4<u32>(4u, 5u, 6u, 7u), vec4<u32>(last)) * blocks;
    let quarter = lane % 4u;
    let some_word = some * BLOCK_WORDS + quarter;
    let rest_word = rest * BLOCK_WORDS + quarter;
    let some_pair = some / 2u;
    let rest_pair = rest / 2u;
    let col = quarter * COLS_STEP;
    var some_sums = vec4<f32>(0.0);
    var rest_sums = vec4<f32>(0.0);
    // Two loops, as a branch in one costs an emulated GPU time in every step.
    if (blocks % 2u == 0u) {
        for (var block = lane / 4u * 2u; block < blocks; block += LANES / 2u) {
            let input = placed_input(token, block * 32u + col);
            let word = block * BLOCK_WORDS;
            some_sums += rows_dot(some_word + word, scale_words(some_pair + block / 2u), input);
            rest_sums += rows_dot(rest_word + word, scale_words(rest_pair + block / 2u), input);
        }
    } else {
        let some_odd = some % 2u == vec4<u32>(1u);
        let rest_odd = rest % 2u == vec4<u32>(1u);
        for (var block = lane / 4u * 2u; block < blocks; block += LANES / 2u) {
            let input = placed_input(token, block * 32u + col);
            let word = block * BLOCK_WORDS;
            let both = block + 1u < blocks;
            let some_pairs = straddling_scales(some_pair + block / 2u, some_odd, both);
            let rest_pairs = straddling_scales(rest_pair + block / 2u, rest_odd, both);
            some_sums += rows_dot(some_word + word, some_pairs, input);
            rest_sums += rows_dot(rest_word + word, rest_pairs, input);
        }
    }
    return array<vec4<f32>, 2>(some_sums, rest_sums);
}

// What a lane adds to the sum of squares of a token.
fn lane_squares(token: u32, lane: u32) -> f32 {
    var sum = 0.0;
    for (var col = lane * 4u; col < info[0].z; col += LANES * 4u) {
        let some = input_at(token, col);
        sum += dot(some, some);
    }
    return sum;
}

// The sum of what the lanes left for a row.
fn total_left(thread: Thread, row: u32) -> f32 {
    var total = 0.0;
    for (var i = 0u; i < n_left(thread); i++) {
        total += left[left_at(row, i)];
    }
    return total;
}

// The sums of all lanes, for one row in each of the first eight threads; all threads call it.
fn over_lanes(thread: Thread, sums: array<vec4<f32>, 2>) -> f32 {
    leave(thread, 0u, sums[0].x);
    leave(thread, 1u, sums[0].y);
    leave(thread, 2u, sums[0].z);
    leave(thread, 3u, sums[0].w);
    leave(thread, 4u, sums[1].x);
    leave(thread, 5u, sums[1].y);
    leave(thread, 6u, sums[1].z);
    leave(thread, 7u, sums[1].w);
    workgroupBarrier();
    var total = 0.0;
    if (thread.local < ROWS) {
        total = total_left(thread, thread.local);
    }
    return total;
}

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3<u32>, thread: Thread) {
    let lane = thread.local;
    let rows = results();
    let row_groups = (rows + ROWS - 1u) / ROWS;
    let index = group.y * info[0].w + group.x;
    if (index >= row_groups * info[0].x) {
        return;
    }
    let token = index / row_groups;
    let row = (index % row_groups) * ROWS;
    if (NORMED) {
        leave(thread, ROWS, lane_squares(token, lane));
    }
    var total = vec3<f32>(over_lanes(thread, lane_sums(token, row, rows - 1u, lane)), 0.0, 0.0);
    if (GATED) {
        workgroupBarrier();
        total.y = over_lanes(thread, lane_sums(token, row + rows, 2u * rows - 1u, lane));
    }
    if (lane < ROWS && row + lane < rows) {
        if (NORMED) {
            total.z = total_left(thread, ROWS);
        }
        out[token * rows + row + lane] = finish(token, row + lane, total);
    }
}
