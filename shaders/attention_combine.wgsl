// Combines the partial results of `attention_decode` over the parts of the keys. Reference: reference::attention.
// One thread per column of the result. Workgroups are numbered over two dimensions.
struct CombineParams {
    n_rows: u32, // [batch, queries, heads]
    d_value: u32,
    n_parts: u32,
    groups_x: u32,
}

@group(0) @binding(0) var<storage, read_write> parts: array<f32>; // [rows, parts, 2 + d_value]
@group(0) @binding(1) var<storage, read_write> out: array<f32>;   // [rows, d_value]
@group(0) @binding(2) var<uniform> params: CombineParams;

const LOWEST: f32 = -3.0e38;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let at = (group.y * params.groups_x + group.x) * 64u + local;
    let d_value = params.d_value;
    if (at >= params.n_rows * d_value) {
        return;
    }
    let row = (at / d_value) * params.n_parts;
    let width = 2u + d_value;
    var most = LOWEST;
    for (var part = 0u; part < params.n_parts; part++) {
        most = max(most, parts[(row + part) * width]);
    }
    var sum = 0.0;
    var total = 0.0;
    for (var part = 0u; part < params.n_parts; part++) {
        let at_part = (row + part) * width;
        let share = exp(parts[at_part] - most);
        total += share * parts[at_part + 1u];
        sum += share * parts[at_part + 2u + at % d_value];
    }
    out[at] = sum / total;
}
