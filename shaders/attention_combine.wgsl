// Brings together what `attention_decode` found in each part of the keys. Reference: reference::attention.
// One thread per column of the result; the workgroups are numbered over two dimensions.
@group(0) @binding(0) var<storage, read_write> parts: array<f32>; // [rows, parts, 2 + d_value]
@group(0) @binding(1) var<storage, read_write> out: array<f32>;   // [rows, d_value]
@group(0) @binding(2) var<uniform> info: vec4<u32>;               // rows, d_value, parts, workgroups along x

const LOWEST: f32 = -3.0e38;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let at = (group.y * info.w + group.x) * 64u + local;
    let d_value = info.y;
    if (at >= info.x * d_value) {
        return;
    }
    let row = (at / d_value) * info.z;
    let width = 2u + d_value;
    var most = LOWEST;
    for (var part = 0u; part < info.z; part++) {
        most = max(most, parts[(row + part) * width]);
    }
    var sum = 0.0;
    var total = 0.0;
    for (var part = 0u; part < info.z; part++) {
        let at_part = (row + part) * width;
        let share = exp(parts[at_part] - most);
        total += share * parts[at_part + 1u];
        sum += share * parts[at_part + 2u + at % d_value];
    }
    out[at] = sum / total;
}
