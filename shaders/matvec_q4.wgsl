// out = x · dequant(W_q4)ᵀ, for a few tokens (a decoding step). Reference: vmad_quant::matmul_q4.
// One workgroup per eight rows and token; eight lanes stride over the blocks of a row and are summed.
//#include shared/scale.wgsl
//#include shared/q4.wgsl
//#include shared/input.wgsl
@group(0) @binding(0) var<storage, read_write> packed: array<vec4<u32>>; // [rows, blocks], 32 nibbles each
@group(0) @binding(1) var<storage, read_write> scales: array<u32>;       // [rows * blocks / 2], two f16 each
@group(0) @binding(2) var<storage, read_write> x: array<f32>;            // [tokens, cols]
@group(0) @binding(3) var<storage, read_write> out: array<f32>;          // [tokens, rows]
@group(0) @binding(4) var<uniform> info: vec4<u32>;                      // tokens, rows, cols, workgroups along x

const ROWS: u32 = 8u;
const LANES: u32 = 8u;

var<workgroup> partial: array<f32, 64>; // [ROWS, LANES]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let rows = info.y;
    let row_groups = (rows + ROWS - 1u) / ROWS;
    let index = group.y * info.w + group.x;
    if (index >= row_groups * info.x) {
        return;
    }
    let token = index / row_groups;
    let row = (index % row_groups) * ROWS + local / LANES;
    let blocks = (info.z + 31u) / 32u;
    var sum = 0.0;
    if (row < rows) {
        for (var block = local % LANES; block < blocks; block += LANES) {
            let at = row * blocks + block;
            let col = block * 32u;
            var part = 0.0;
            let words = packed[at];
            for (var w = 0u; w < 4u; w++) {
                part += dot(q4_low(words[w]), input_at(token, col + w * 8u));
                part += dot(q4_high(words[w]), input_at(token, col + w * 8u + 4u));
            }
            sum += part * scale_at(at);
        }
    }
    partial[local] = sum;
    workgroupBarrier();
    if (local % LANES == 0u && row < rows) {
        var total = 0.0;
        for (var lane = 0u; lane < LANES; lane++) {
            total += partial[local + lane];
        }
        out[token * rows + row] = total;
    }
}
