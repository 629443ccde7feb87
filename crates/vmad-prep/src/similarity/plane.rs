//! Single-channel pictures and their oriented energies.

/// A greyscale picture, `[height, width]` row-major; never empty.
pub struct GreyPlane {
    pub width: usize,
    pub height: usize,
    pub data: Vec<f32>,
}

impl GreyPlane {
    pub fn new(width: usize, height: usize) -> Self {
        let data = vec![0.0; width * height];
        Self {
            width,
            height,
            data,
        }
    }

    /// The row nearest to `y`: the border repeats.
    pub fn row(&self, y: isize) -> &[f32] {
        let y = y.clamp(0, self.height as isize - 1) as usize;
        &self.data[y * self.width..(y + 1) * self.width]
    }

    /// Means of 2×2 pixels; an odd last row or column stands for two.
    pub fn halved(&self) -> Self {
        let mut out = Self::new(self.width.div_ceil(2), self.height.div_ceil(2));
        for (y, row) in out.data.chunks_mut(out.width).enumerate() {
            let (a, b) = (self.row(2 * y as isize), self.row(2 * y as isize + 1));
            for ((o, a), b) in row.iter_mut().zip(a.chunks(2)).zip(b.chunks(2)) {
                *o = 0.25 * (a[0] + a[a.len() - 1] + b[0] + b[b.len() - 1]);
            }
        }
        out
    }
}

/// Energies at 0°, 45°, 90° and 135°: first and second derivatives in quadrature, so that neither
/// an edge nor a line in either polarity is favoured.
pub fn oriented_energies(plane: &GreyPlane) -> [GreyPlane; 4] {
    let (w, h) = (plane.width, plane.height);
    let mut out = [(); 4].map(|()| GreyPlane::new(w, h));
    // Vertical smoothing, first and second difference of three rows, with one column of border.
    let mut smooth = vec![0.0f32; w + 2];
    let mut first = vec![0.0f32; w + 2];
    let mut second = vec![0.0f32; w + 2];
    for y in 0..h {
        let above = plane.row(y as isize - 1);
        let here = plane.row(y as isize);
        let below = plane.row(y as isize + 1);
        for (x, ((&a, &b), &c)) in above.iter().zip(here).zip(below).enumerate() {
            smooth[x + 1] = 0.25 * (a + 2.0 * b + c);
            first[x + 1] = 0.5 * (c - a);
            second[x + 1] = a - 2.0 * b + c;
        }
        for line in [&mut smooth, &mut first, &mut second] {
            line[0] = line[1];
            line[w + 1] = line[w];
        }
        let [e0, e45, e90, e135] = &mut out;
        let row = y * w..(y + 1) * w;
        let (e0, e45) = (&mut e0.data[row.clone()], &mut e45.data[row.clone()]);
        let (e90, e135) = (&mut e90.data[row.clone()], &mut e135.data[row]);
        let (s0, s1, s2) = (&smooth[..w], &smooth[1..=w], &smooth[2..w + 2]);
        let (f0, f1, f2) = (&first[..w], &first[1..=w], &first[2..w + 2]);
        let (d0, d1, d2) = (&second[..w], &second[1..=w], &second[2..w + 2]);
        for x in 0..w {
            let gx = 0.5 * (s2[x] - s0[x]);
            let gy = 0.25 * (f0[x] + 2.0 * f1[x] + f2[x]);
            let gxx = s2[x] - 2.0 * s1[x] + s0[x];
            let gyy = 0.25 * (d0[x] + 2.0 * d1[x] + d2[x]);
            let gxy = 0.5 * (f2[x] - f0[x]);
            let (up, down) = (gx + gy, gx - gy);
            let mean = 0.5 * (gxx + gyy);
            let (line_up, line_down) = (mean + gxy, mean - gxy);
            e0[x] = (gx * gx + gxx * gxx).sqrt();
            e45[x] = (0.5 * up * up + line_up * line_up).sqrt();
            e90[x] = (gy * gy + gyy * gyy).sqrt();
            e135[x] = (0.5 * down * down + line_down * line_down).sqrt();
        }
    }
    out
}
