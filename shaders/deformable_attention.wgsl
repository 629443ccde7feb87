// Values at points around each query's centre, weighed by the softmax of their weights: deformable attention
// on one level (Zhu et al. 2021). Bilinear between the centres of cells, zero outside the grid.
// Reference: reference::deformable_attention.
// One thread per channel of a query.
@group(0) @binding(0) var<storage, read_write> value: array<f32>;   // [batch, side², heads · d_head]
@group(0) @binding(1) var<storage, read_write> offsets: array<f32>; // [batch, queries, heads, points, 2], (x, y) in cells
@group(0) @binding(2) var<storage, read_write> weights: array<f32>; // [batch, queries, heads, points]
@group(0) @binding(3) var<storage, read_write> centres: array<f32>; // [queries, 2], (x, y) in cells
@group(0) @binding(4) var<storage, read_write> out: array<f32>;     // [batch, queries, heads · d_head]
@group(0) @binding(5) var<uniform> info: array<vec4<u32>, 2>;

// info[0]: batch, queries, heads, workgroups along x. info[1]: points, d_head, side.
fn value_at(batch: u32, channel: u32, cell: vec2<i32>) -> f32 {
    let side = i32(info[1].z);
    if (cell.x < 0 || cell.y < 0 || cell.x >= side || cell.y >= side) {
        return 0.0;
    }
    let at = batch * info[1].z * info[1].z + u32(cell.y * side + cell.x);
    return value[at * info[0].z * info[1].y + channel];
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let d = info[0].z * info[1].y;
    let index = (group.y * info[0].w + group.x) * 64u + local;
    if (index >= info[0].x * info[0].y * d) {
        return;
    }
    let points = info[1].x;
    let channel = index % d;
    let query = (index / d) % info[0].y;
    let batch = index / d / info[0].y;
    let first = ((index / d) * info[0].z + channel / info[1].y) * points;
    var most = weights[first];
    for (var point = 1u; point < points; point++) {
        most = max(most, weights[first + point]);
    }
    // Half-pixel convention: a place in cells minus ½ is an index.
    let centre = vec2<f32>(centres[query * 2u], centres[query * 2u + 1u]) - 0.5;
    // Far outside a number would not fit an index, and all is zero there anyway.
    let limit = f32(info[1].z) + 1.0;
    var sum = 0.0;
    var total = 0.0;
    for (var point = 0u; point < points; point++) {
        let at = first + point;
        let offset = vec2<f32>(offsets[at * 2u], offsets[at * 2u + 1u]);
        let place = clamp(centre + offset, vec2<f32>(-2.0), vec2<f32>(limit));
        let low = floor(place);
        let share = place - low;
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
