// Deformable attention on one level (Zhu et al. 2021): values at points around each query's centre, weighted by a softmax
// over the points. Bilinear between the centres of cells, zero outside the grid.
// Reference: reference::deformable_attention.
// One thread per channel of a query. Workgroups are numbered over two dimensions.
struct DeformableParams {
    batch: u32,
    n_queries: u32,
    n_heads: u32,
    groups_x: u32,
    n_points: u32,
    d_head: u32,
    side: u32, // side of the grid of values
}

@group(0) @binding(0) var<storage, read_write> value: array<f32>;   // [batch, side², heads · d_head]
@group(0) @binding(1) var<storage, read_write> offsets: array<f32>; // [batch, queries, heads, points, 2], (x, y) in cells
@group(0) @binding(2) var<storage, read_write> weights: array<f32>; // [batch, queries, heads, points], before the softmax
@group(0) @binding(3) var<storage, read_write> centres: array<f32>; // [queries, 2], (x, y) in cells
@group(0) @binding(4) var<storage, read_write> out: array<f32>;     // [batch, queries, heads · d_head]
@group(0) @binding(5) var<uniform> params: DeformableParams;

fn value_at(batch: u32, channel: u32, cell: vec2<i32>) -> f32 {
    let side = i32(params.side);
    if (cell.x < 0 || cell.y < 0 || cell.x >= side || cell.y >= side) {
        return 0.0;
    }
    let at = batch * params.side * params.side + u32(cell.y * side + cell.x);
    return value[at * params.n_heads * params.d_head + channel];
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let d = params.n_heads * params.d_head;
    let index = (group.y * params.groups_x + group.x) * 64u + local;
    if (index >= params.batch * params.n_queries * d) {
        return;
    }
    let points = params.n_points;
    let channel = index % d;
    let query = (index / d) % params.n_queries;
    let batch = index / d / params.n_queries;
    let first = ((index / d) * params.n_heads + channel / params.d_head) * points;
    var most = weights[first];
    for (var point = 1u; point < points; point++) {
        most = max(most, weights[first + point]);
    }
    // Half-pixel convention: a position in cells minus ½ is an index.
    let centre = vec2<f32>(centres[query * 2u], centres[query * 2u + 1u]) - 0.5;
    // Clamped so that the index fits an i32; every value that far outside is zero.
    let limit = f32(params.side) + 1.0;
    var sum = 0.0;
    var total = 0.0;
    for (var point = 0u; point < points; point++) {
        let at = first + point;
        let offset = vec2<f32>(offsets[at * 2u], offsets[at * 2u + 1u]);
        let position = clamp(centre + offset, vec2<f32>(-2.0), vec2<f32>(limit));
        let low = floor(position);
        let share = position - low;
        let cell = vec2<i32>(low);
        let above = mix(value_at(batch, channel, cell), value_at(batch, channel, cell + vec2<i32>(1, 0)), share.x);
        let below = mix(
            value_at(batch, channel, cell + vec2<i32>(0, 1)),
            value_at(batch, channel, cell + vec2<i32>(1, 1)),
            share.x,
        );
        let weight = exp(weights[at] - most);
        total += weight;
        sum += weight * mix(above, below, share.y);
    }
    out[index] = sum / total;
}
