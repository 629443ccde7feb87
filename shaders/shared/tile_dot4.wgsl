// shared/tile.wgsl in integers, four columns per word (`dot4I8Packed`). A block of an input row has a scale of its own and
// 16 bits per value, in two signed digits of base 256; weights stay the bytes that they are stored as. The products of a
// block are exact: 32 · 127 · 32639 < 2³¹.
// Expects the bindings `x` and `params`, shared/tile_main.wgsl, `row_of` of the epilogue, shared/input.wgsl, `scale_at`,
// and `word_at` and `arranged` of the weight.
const LARGEST: f32 = 32639.0; // 127 · 256 + 127

var<workgroup> x_high: array<vec4<u32>, 128>;   // [8 words, FOURS], four tokens each
var<workgroup> x_low: array<vec4<u32>, 128>;
var<workgroup> w_words: array<vec4<u32>, 128>;  // four rows each
var<workgroup> x_scale: array<vec4<f32>, FOURS>;
var<workgroup> w_scale: array<vec4<f32>, FOURS>;
var<workgroup> largest: array<vec4<u32>, 64>;   // [4 parts of the block, FOURS]
var<private> xs: array<vec4<f32>, 8>;           // eight columns of four tokens
var<private> block_sums: array<vec4<i32>, 16>;       // one block's contribution to `sums`

// The largest magnitude, as bits: without their sign, floats order like their bits, and Inf and NaN are the largest.
fn magnitude(a: vec4<f32>, b: vec4<f32>) -> u32 {
    let bits = max(bitcast<vec4<u32>>(a) & vec4<u32>(0x7fffffffu), bitcast<vec4<u32>>(b) & vec4<u32>(0x7fffffffu));
    return max(max(bits.x, bits.y), max(bits.z, bits.w));
}

// Each thread loads eight columns of four tokens.
fn load_x(local: u32, first_token: u32, first_col: u32) {
    let part = local % 4u;
    let four = local / 4u;
    var bits = vec4<u32>(0u);
    for (var i = 0u; i < 4u; i++) {
        let token = first_token + four * 4u + i;
        xs[2u * i] = vec4<f32>(0.0);
        xs[2u * i + 1u] = vec4<f32>(0.0);
        if (token < params.n_tokens) {
            xs[2u * i] = input_at(token, first_col + part * 8u);
            xs[2u * i + 1u] = input_at(token, first_col + part * 8u + 4u);
        }
        bits[i] = magnitude(xs[2u * i], xs[2u * i + 1u]);
    }
    largest[part * FOURS + four] = bits;
    workgroupBarrier();
    let all = max(
        max(largest[four], largest[FOURS + four]),
        max(largest[2u * FOURS + four], largest[3u * FOURS + four]),
    );
    let most = bitcast<vec4<f32>>(all);
    if (part == 0u) {
        x_scale[four] = most / LARGEST;
    }
    // Blocks this small count as zero: the inverse of their scale would overflow.
    let factor = select(LARGEST / most, vec4<f32>(0.0), most < vec4<f32>(1.0e-30));
    for (var word = 0u; word < 2u; word++) {
        var high: vec4<u32>;
        var low: vec4<u32>;
        for (var i = 0u; i < 4u; i++) {
            let values = vec4<i32>(round(arranged(xs[2u * i], xs[2u * i + 1u], word) * factor[i]));
            let digits = (values + vec4<i32>(128)) >> vec4<u32>(8u);
            high[i] = pack4xI8(digits);
            low[i] = pack4xI8(values - (digits << vec4<u32>(8u)));
        }
        let at = slot(2u * part + word, four);
        x_high[at] = high;
        x_low[at] = low;
    }
}

// Each thread loads one word of four rows, for two groups of rows.
fn load_w(local: u32, first_row: u32, block: u32, blocks: u32) {
    let word = local % 8u;
    for (var four = local / 8u; four < FOURS; four += 8u) {
        var words: vec4<u32>;
        var scales_of: vec4<f32>;
        for (var i = 0u; i < 4u; i++) {
            let row = row_of(first_row, four, i);
            if (row < params.n_rows) {
                words[i] = word_at(row * blocks + block, word);
                if (word == 0u) {
                    scales_of[i] = scale_at(row * blocks + block);
                }
            }
        }
        w_words[slot(word, four)] = words;
        if (word == 0u) {
            w_scale[four] = scales_of;
        }
    }
}

fn dots(high: u32, low: u32, w: vec4<u32>) -> vec4<i32> {
    let upper = vec4<i32>(
        dot4I8Packed(high, w.x),
        dot4I8Packed(high, w.y),
        dot4I8Packed(high, w.z),
        dot4I8Packed(high, w.w),
    );
    let lower = vec4<i32>(
        dot4I8Packed(low, w.x),
        dot4I8Packed(low, w.y),
        dot4I8Packed(low, w.z),
        dot4I8Packed(low, w.w),
    );
    return (upper << vec4<u32>(8u)) + lower;
}

fn accumulate(local: u32) {
    let tokens = (local / 8u) * 2u;
    let rows = (local % 8u) * 2u;
    for (var i = 0u; i < 16u; i++) {
        block_sums[i] = vec4<i32>(0);
    }
    for (var k = 0u; k < 8u; k++) {
        let w = w_words[slot(k, rows)];
        let more = w_words[slot(k, rows + 1u)];
        let high = x_high[slot(k, tokens)];
        let low = x_low[slot(k, tokens)];
        block_sums[0] += dots(high.x, low.x, w);
        block_sums[1] += dots(high.y, low.y, w);
        block_sums[2] += dots(high.z, low.z, w);
        block_sums[3] += dots(high.w, low.w, w);
        block_sums[8] += dots(high.x, low.x, more);
        block_sums[9] += dots(high.y, low.y, more);
        block_sums[10] += dots(high.z, low.z, more);
        block_sums[11] += dots(high.w, low.w, more);
        let next_high = x_high[slot(k, tokens + 1u)];
        let next_low = x_low[slot(k, tokens + 1u)];
        block_sums[4] += dots(next_high.x, next_low.x, w);
        block_sums[5] += dots(next_high.y, next_low.y, w);
        block_sums[6] += dots(next_high.z, next_low.z, w);
        block_sums[7] += dots(next_high.w, next_low.w, w);
        block_sums[12] += dots(next_high.x, next_low.x, more);
        block_sums[13] += dots(next_high.y, next_low.y, more);
        block_sums[14] += dots(next_high.z, next_low.z, more);
        block_sums[15] += dots(next_high.w, next_low.w, more);
    }
    for (var i = 0u; i < 4u; i++) {
        let first = x_scale[tokens][i];
        let second = x_scale[tokens + 1u][i];
        sums[i] += vec4<f32>(block_sums[i]) * (first * w_scale[rows]);
        sums[4u + i] += vec4<f32>(block_sums[4u + i]) * (second * w_scale[rows]);
        sums[8u + i] += vec4<f32>(block_sums[8u + i]) * (first * w_scale[rows + 1u]);
        sums[12u + i] += vec4<f32>(block_sums[12u + i]) * (second * w_scale[rows + 1u]);
    }
}
