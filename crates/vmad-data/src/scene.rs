//! A scene before the camera: albedo, height, gloss and product coverage per pixel, and its lighting.

use crate::math::{Rgb, Rng, hash, mix, smooth};
use crate::window::Window;

/// What a surface shader says of one point.
#[derive(Clone, Copy)]
pub(crate) struct Point {
    /// Albedo, 0..1.
    pub rgb: Rgb,
    /// Height above the background in half image widths.
    pub height: f32,
    /// Strength of the highlight, 0..1.
    pub gloss: f32,
    /// Coverage by the product, 0..1.
    pub cover: f32,
}

/// The layers of a scene, row-major, `side`² points each.
#[derive(Clone)]
pub(crate) struct Scene {
    pub side: usize,
    pub rgb: Vec<Rgb>,
    pub height: Vec<f32>,
    pub gloss: Vec<f32>,
    pub cover: Vec<f32>,
    /// What lies behind the product, for pieces that are missing.
    pub behind: Rgb,
}

/// Camera and lamp of one image.
pub(crate) struct Light {
    /// Direction to the lamp; z points to the camera.
    dir: [f32; 3],
    ambient: f32,
    gain: f32,
    gradient: (f32, f32),
    vignette: f32,
    /// Weight of each direct neighbour in the blur kernel.
    blur: f32,
    /// Standard deviation of the sensor noise, in 0..1.
    noise: f32,
    noise_seed: u32,
}

impl Light {
    /// Draws a camera; `difficulty` in 0..1 scales noise and unevenness.
    pub(crate) fn draw(rng: &mut Rng, difficulty: f32) -> Self {
        let az = rng.range(3.4, 4.5); // lamp in the upper left
        let vary = 0.4 + 1.2 * difficulty;
        Self {
            dir: [
                0.62 * crate::math::cos(az),
                0.62 * crate::math::sin(az),
                0.78,
            ],
            ambient: rng.range(0.32, 0.42),
            gain: 1.0 + rng.sym(0.10) * vary,
            gradient: (rng.sym(0.10) * vary, rng.sym(0.10) * vary),
            vignette: rng.range(0.0, 0.14) * vary,
            blur: rng.range(0.0, 0.14) * (0.5 + difficulty),
            noise: rng.range(0.004, 0.016) * (0.3 + 1.4 * difficulty),
            noise_seed: rng.bits(),
        }
    }

    /// How many pixels beyond a change the picture differs: one by the slope, one by the blur.
    pub(crate) const SPREAD: usize = 2;

    /// Writes the lit and blurred picture without sensor noise into the window of `out`.
    pub(crate) fn shade(&self, s: &Scene, window: Window, out: &mut [Rgb]) {
        let n = s.side;
        let wide = window.grown(1, n);
        let columns = wide.width();
        let lit = self.light(s, wide);
        let w = self.blur;
        let centre = 1.0 - 2.0 * w;
        let mut rows = vec![[0.0; 3]; lit.len()];
        for y in 0..wide.height() {
            for x in window.columns() {
                let at = |x: usize| lit[y * columns + x - wide.x0];
                let (l, m, r) = (at(x.saturating_sub(1)), at(x), at((x + 1).min(n - 1)));
                rows[y * columns + x - wide.x0] =
                    [0, 1, 2].map(|c| centre * m[c] + w * (l[c] + r[c]));
            }
        }
        for y in window.rows() {
            for x in window.columns() {
                let at = |y: usize| rows[(y - wide.y0) * columns + x - wide.x0];
                let (u, m, d) = (at(y.saturating_sub(1)), at(y), at((y + 1).min(n - 1)));
                out[y * n + x] = [0, 1, 2].map(|c| centre * m[c] + w * (u[c] + d[c]));
            }
        }
    }

    /// The lit picture inside of a window.
    fn light(&self, s: &Scene, window: Window) -> Vec<Rgb> {
        let n = s.side;
        let k = n as f32 * 0.25; // central difference over two pixels of 2/n half widths
        let [lx, ly, lz] = self.dir;
        // Half-way vector between lamp and camera for the highlight.
        let hl = (lx * lx + ly * ly + (lz + 1.0) * (lz + 1.0)).sqrt();
        let (hx, hy, hz) = (lx / hl, ly / hl, (lz + 1.0) / hl);
        let flat = pow16(hz);
        let mut out = Vec::with_capacity(window.width() * window.height());
        let inv = 2.0 / n as f32;
        for y in window.rows() {
            let up = y.saturating_sub(1) * n;
            let down = (y + 1).min(n - 1) * n;
            let v = y as f32 * inv - 1.0;
            let row = y * n;
            for x in window.columns() {
                let i = row + x;
                let left = row + x.saturating_sub(1);
                let right = row + (x + 1).min(n - 1);
                let gx = ((s.height[right] - s.height[left]) * k).clamp(-2.2, 2.2);
                let gy = ((s.height[down + x] - s.height[up + x]) * k).clamp(-2.2, 2.2);
                let len = (1.0 + gx * gx + gy * gy).sqrt();
                let diffuse = ((lz - gx * lx - gy * ly) / len).max(0.0) / lz;
                let half = ((hz - gx * hx - gy * hy) / len).max(0.0);
                let spec = s.gloss[i] * (pow16(half) - 0.6 * flat) * 0.8;
                let u = x as f32 * inv - 1.0;
                let lamp = self.gain
                    * (1.0 + self.gradient.0 * u + self.gradient.1 * v
                        - self.vignette * 0.5 * (u * u + v * v));
                let d = self.ambient + (1.0 - self.ambient) * diffuse;
                out.push(s.rgb[i].map(|c| ((c * d + spec) * lamp).clamp(0.0, 1.0)));
            }
        }
        out
    }

    /// Adds sensor noise and rounds to bytes.
    pub(crate) fn expose(&self, img: &[Rgb], n: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(img.len() * 3);
        // The sum of two uniform bytes has standard deviation 104.5.
        let a = self.noise / 104.5;
        for (i, c) in img.iter().enumerate() {
            let h = hash(self.noise_seed, (i % n) as i32, (i / n) as i32);
            let g = hash(self.noise_seed ^ 0x5bd1, (i % n) as i32, (i / n) as i32);
            let grey = ((h & 255) + (h >> 8 & 255)) as f32 - 255.0;
            for (k, v) in c.iter().enumerate() {
                let chroma = (g >> (8 * k) & 255) as f32 - 127.5;
                let e = a * (0.85 * grey + 0.6 * chroma);
                out.push(((v + e).clamp(0.0, 1.0) * 255.0 + 0.5) as u8);
            }
        }
        out
    }
}

fn pow16(x: f32) -> f32 {
    let a = x * x;
    let b = a * a;
    let c = b * b;
    c * c
}

/// Where the product lies in front of the camera.
#[derive(Clone, Copy)]
pub(crate) struct Pose {
    pub cos: f32,
    pub sin: f32,
    pub scale: f32,
    pub dx: f32,
    pub dy: f32,
}

impl Pose {
    /// Product coordinates of an image point, both in half image widths.
    pub(crate) fn product_from_image(&self, u: f32, v: f32) -> (f32, f32) {
        let (x, y) = ((u - self.dx) / self.scale, (v - self.dy) / self.scale);
        (self.cos * x + self.sin * y, self.cos * y - self.sin * x)
    }
}

impl Scene {
    /// Renders a shader over the whole frame; `background` fills where coverage is below 1.
    pub(crate) fn render(
        side: usize,
        pose: Pose,
        behind: Rgb,
        mut product: impl FnMut(f32, f32) -> Point,
        mut background: impl FnMut(f32, f32) -> Point,
    ) -> Self {
        let count = side * side;
        let mut s = Self {
            side,
            rgb: Vec::with_capacity(count),
            height: Vec::with_capacity(count),
            gloss: Vec::with_capacity(count),
            cover: Vec::with_capacity(count),
            behind,
        };
        let inv = 2.0 / side as f32;
        for y in 0..side {
            let v = (y as f32 + 0.5) * inv - 1.0;
            for x in 0..side {
                let u = (x as f32 + 0.5) * inv - 1.0;
                let (pu, pv) = pose.product_from_image(u, v);
                let mut p = product(pu, pv);
                if p.cover < 1.0 {
                    let b = background(u, v);
                    p = Point {
                        rgb: crate::math::mix3(b.rgb, p.rgb, p.cover),
                        height: mix(b.height, p.height, p.cover),
                        gloss: mix(b.gloss, p.gloss, p.cover),
                        cover: p.cover,
                    };
                }
                s.rgb.push(p.rgb);
                s.height.push(p.height);
                s.gloss.push(p.gloss);
                s.cover.push(p.cover);
            }
        }
        s
    }

    /// Darkens the background beside the product, as a lamp in the upper left does.
    pub(crate) fn drop_shadow(&mut self, strength: f32) {
        let n = self.side;
        let r = (n / 40).max(1);
        let soft = box_blur(&box_blur(&self.cover, n, r), n, r);
        let shift = n / 50;
        for y in 0..n {
            for x in 0..n {
                let i = y * n + x;
                let c = 1.0 - self.cover[i];
                if c > 0.0 {
                    let j = y.saturating_sub(shift) * n + x.saturating_sub(shift);
                    let f = 1.0 - strength * c * smooth(0.0, 1.0, soft[j]);
                    self.rgb[i] = crate::math::scale3(self.rgb[i], f);
                }
            }
        }
    }
}

/// Mean over a (2r+1)² window, edges repeated.
pub(crate) fn box_blur(src: &[f32], n: usize, r: usize) -> Vec<f32> {
    let w = 1.0 / (2 * r + 1) as f32;
    let mut tmp = vec![0.0; n * n];
    for y in 0..n {
        let row = &src[y * n..(y + 1) * n];
        let at = |i: isize| row[i.clamp(0, n as isize - 1) as usize];
        let mut sum: f32 = (-(r as isize)..=r as isize).map(at).sum();
        for x in 0..n {
            tmp[y * n + x] = sum * w;
            sum += at((x + r + 1) as isize) - at(x as isize - r as isize);
        }
    }
    let mut out = vec![0.0; n * n];
    let mut sums = vec![0.0f32; n];
    let row = |y: isize| y.clamp(0, n as isize - 1) as usize * n;
    for dy in -(r as isize)..=r as isize {
        for x in 0..n {
            sums[x] += tmp[row(dy) + x];
        }
    }
    for y in 0..n {
        let (add, drop) = (row((y + r + 1) as isize), row(y as isize - r as isize));
        for x in 0..n {
            out[y * n + x] = sums[x] * w;
            sums[x] += tmp[add + x] - tmp[drop + x];
        }
    }
    out
}
