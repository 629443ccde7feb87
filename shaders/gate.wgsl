// SiLU of the first half of each row times the second: SwiGLU's end for a prompt. Reference: reference::gated.
@group(0) @binding(0) var<storage, read_write> x: array<f32>;   // [tokens, 2 width]
@group(0) @binding(1) var<storage, read_write> out: array<f32>; // [tokens, width]
@group(0) @binding(2) var<uniform> info: array<vec4<u32>, 1>;   // results, width, 0, workgroups along x

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let at = (group.y * info[0].w + group.x) * 64u + local;
    if (at >= info[0].x) {
        return;
    }
    let width = info[0].y;
    let from_row = at / width * 2u * width + at % width;
    let gate = x[from_row];
    out[at] = gate / (1.0 + exp(min(-gate, 80.0))) * x[from_row + width];
}
