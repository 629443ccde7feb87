//! Lamps, lens, film and file format of one photograph.

use crate::math::{Rgb, Rng, cos, hash, length, lum, mix, mix3, sin};
use crate::scene::Scene;
use crate::window::Window;
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;

struct Lamp {
    /// Direction from the picture's middle; z points to the camera.
    dir: [f32; 3],
    /// How much the direction turns over the picture; a near lamp.
    near: f32,
    /// Share of the direct light, per channel.
    rgb: Rgb,
}

/// What lies between the scene and the sensor, radii in pixels.
enum Lens {
    Sharp,
    /// Defocus.
    Soft(f32),
    /// Movement during the exposure, from end to end.
    Moved(f32, f32),
}

/// Camera and lamps of one picture.
pub(super) struct Camera {
    lamps: Vec<Lamp>,
    ambient: f32,
    /// Repeated squarings of the highlight's cosine.
    shine: u32,
    gradient: (f32, f32),
    vignette: f32,
    gain: Rgb,
    /// Bend of the tone curve, above zero brightens.
    bend: f32,
    contrast: f32,
    black: f32,
    saturation: f32,
    lens: Lens,
    noise: f32,
    noise_seed: u32,
    quality: Option<u8>,
}

impl Camera {
    /// Draws a camera; `difficulty` in 0..1 scales what makes a picture poor.
    pub(super) fn draw(rng: &mut Rng, difficulty: f32, side: usize) -> Self {
        let poor = 0.4 + 1.2 * difficulty;
        let unit = side as f32 / 256.0;
        let count = 1 + rng.below(3);
        let warm = |rng: &mut Rng| {
            let t = rng.sym(0.12);
            [1.0 + t, 1.0, 1.0 - t]
        };
        let mut lamps: Vec<Lamp> = (0..count)
            .map(|k| {
                let (az, low) = (rng.angle(), rng.range(0.25, 0.85));
                let dir = [low * cos(az), low * sin(az), (1.0 - low * low).sqrt()];
                let share = if k == 0 { 1.0 } else { rng.range(0.2, 0.7) };
                Lamp {
                    dir,
                    near: if rng.chance(0.5) {
                        rng.range(0.1, 0.5)
                    } else {
                        0.0
                    },
                    rgb: warm(rng).map(|c| c * share),
                }
            })
            .collect();
        let total: f32 = lamps.iter().map(|l| l.rgb[1] * l.dir[2]).sum();
        for lamp in &mut lamps {
            lamp.rgb = lamp.rgb.map(|c| c / total);
        }
        let white = warm(rng);
        let lens = match rng.below(20) {
            0..=6 => Lens::Sharp,
            7..=16 => Lens::Soft(rng.range(0.2, 0.9) * poor.min(1.0) * unit),
            17 | 18 => Lens::Soft(rng.range(0.8, 2.0) * poor * unit),
            _ => {
                let (a, r) = (rng.angle(), rng.range(1.0, 3.0) * poor * unit);
                Lens::Moved(r * cos(a), r * sin(a))
            }
        };
        Self {
            lamps,
            ambient: rng.range(0.25, 0.6),
            shine: 3 + rng.below(4) as u32,
            gradient: (rng.sym(0.15) * poor, rng.sym(0.15) * poor),
            vignette: rng.range(0.0, 0.2) * poor,
            gain: white.map(|c| mix(1.0, c, 0.5)),
            bend: rng.range(-0.25, 0.5),
            contrast: rng.range(0.85, 1.2),
            black: rng.range(-0.02, 0.05),
            saturation: if rng.chance(0.25) {
                0.0
            } else {
                rng.range(0.6, 1.25)
            },
            lens,
            noise: rng.range(0.002, 0.018) * (0.3 + 1.4 * difficulty),
            noise_seed: rng.bits(),
            quality: rng
                .chance(0.4)
                .then(|| (95.0 - rng.range(0.0, 50.0) * poor) as u8),
        }
    }

    /// Whether pictures are without colour.
    pub(super) fn is_grey(&self) -> bool {
        self.saturation == 0.0
    }

    /// Direction in which shadows fall, in half image widths per height.
    pub(super) fn shadow(&self) -> (f32, f32) {
        let d = self.lamps[0].dir;
        (-d[0] / d[2].max(0.3), -d[1] / d[2].max(0.3))
    }

    /// Sets the exposure by the scene's albedo, as a camera's meter does; only the brightest
    /// fiftieth may burn out.
    pub(super) fn meter(&mut self, scene: &Scene, rng: &mut Rng) {
        let mut levels: Vec<f32> = scene.rgb.iter().step_by(37).map(|c| lum(*c)).collect();
        let mean = levels.iter().sum::<f32>() / levels.len() as f32;
        let at = levels.len() * 49 / 50;
        let bright = *levels.select_nth_unstable_by(at, f32::total_cmp).1;
        let wanted = mix(mean, rng.range(0.28, 0.62), rng.range(0.2, 0.9));
        let gain = (wanted / mean.max(0.02))
            .clamp(0.6, 1.8)
            .min(0.95 / bright.max(0.05))
            .max(0.14 / mean.max(0.02));
        self.gain = self.gain.map(|c| c * gain);
    }

    /// How many pixels beyond a change the picture differs.
    pub(super) fn spread(&self) -> usize {
        1 + match self.lens {
            Lens::Sharp => 0,
            Lens::Soft(r) => r as usize + 1,
            Lens::Moved(dx, dy) => (0.5 * dx.abs().max(dy.abs())) as usize + 1,
        }
    }

    /// Writes the picture without noise into the window of `out`.
    pub(super) fn shade(&self, scene: &Scene, window: Window, out: &mut [Rgb]) {
        let n = scene.side;
        let wide = window.grown(self.spread(), n);
        let mut lit = self.light(scene, wide);
        match self.lens {
            Lens::Sharp => {}
            Lens::Soft(r) => soften(&mut lit, wide.width(), wide.height(), r),
            Lens::Moved(dx, dy) => lit = moved(&lit, wide.width(), wide.height(), dx, dy),
        }
        for y in window.rows() {
            for x in window.columns() {
                let c = lit[(y - wide.y0) * wide.width() + x - wide.x0];
                out[y * n + x] = self.develop(c);
            }
        }
    }

    fn light(&self, scene: &Scene, window: Window) -> Vec<Rgb> {
        let n = scene.side;
        let k = n as f32 * 0.25;
        let inv = 2.0 / n as f32;
        let mut out = Vec::with_capacity(window.width() * window.height());
        let power = |mut x: f32| {
            for _ in 0..self.shine {
                x *= x;
            }
            x
        };
        for y in window.rows() {
            let (up, down) = (y.saturating_sub(1) * n, (y + 1).min(n - 1) * n);
            let v = y as f32 * inv - 1.0;
            let row = y * n;
            for x in window.columns() {
                let i = row + x;
                let gx = scene.height[row + (x + 1).min(n - 1)]
                    - scene.height[row + x.saturating_sub(1)];
                let gy = scene.height[down + x] - scene.height[up + x];
                let (gx, gy) = ((gx * k).clamp(-2.2, 2.2), (gy * k).clamp(-2.2, 2.2));
                let slant = 1.0 / (1.0 + gx * gx + gy * gy).sqrt();
                let u = x as f32 * inv - 1.0;
                let gloss = scene.gloss[i];
                let (mut diffuse, mut shine) = ([self.ambient; 3], [0.0f32; 3]);
                for lamp in &self.lamps {
                    let [mut lx, mut ly, mut lz] = lamp.dir;
                    if lamp.near > 0.0 {
                        (lx, ly) = (lx - lamp.near * u, ly - lamp.near * v);
                        let r = 1.0 / (lx * lx + ly * ly + lz * lz).sqrt();
                        (lx, ly, lz) = (lx * r, ly * r, lz * r);
                    }
                    let cosine = ((lz - gx * lx - gy * ly) * slant).max(0.0) * (1.0 - self.ambient);
                    for (d, c) in diffuse.iter_mut().zip(lamp.rgb) {
                        *d += cosine * c;
                    }
                    if gloss > 0.02 {
                        // Half-way between lamp and camera.
                        let r = slant / (2.0 + 2.0 * lz).sqrt();
                        let half = ((lz + 1.0 - gx * lx - gy * ly) * r).max(0.0);
                        let s = gloss * 0.7 * power(half);
                        for (d, c) in shine.iter_mut().zip(lamp.rgb) {
                            *d += s * c;
                        }
                    }
                }
                let lamp = 1.0 + self.gradient.0 * u + self.gradient.1 * v
                    - self.vignette * 0.5 * (u * u + v * v);
                let c = scene.rgb[i];
                out.push(
                    [0, 1, 2].map(|k| ((c[k] * diffuse[k] + shine[k]) * lamp).clamp(0.0, 1.4)),
                );
            }
        }
        out
    }

    /// White balance, exposure, tone curve and colour strength.
    fn develop(&self, c: Rgb) -> Rgb {
        let c = [0, 1, 2].map(|k| {
            let v = c[k] * self.gain[k];
            let v = v * (1.0 + self.bend) / (1.0 + self.bend * v);
            (v - 0.5) * self.contrast + 0.5 + self.black
        });
        let grey = lum(c);
        mix3([grey; 3], c, self.saturation).map(|v| v.clamp(0.0, 1.0))
    }

    /// Adds sensor noise, rounds to bytes and, for some cameras, stores as JPEG.
    pub(super) fn expose(&self, picture: &[Rgb], side: usize) -> RgbImage {
        let mut bytes = Vec::with_capacity(picture.len() * 3);
        // The sum of two uniform bytes has standard deviation 104.5.
        let a = self.noise / 104.5;
        let colour = 0.6 * self.saturation.min(1.0);
        for (i, c) in picture.iter().enumerate() {
            let h = hash(self.noise_seed, (i % side) as i32, (i / side) as i32);
            let g = h.wrapping_mul(0x9E37_79B1) >> 4;
            let grey = ((h & 255) + (h >> 8 & 255)) as f32 - 255.0;
            // More light, more shot noise.
            let strength = a * (0.6 + 0.8 * c[1]);
            for (k, v) in c.iter().enumerate() {
                let chroma = (g >> (8 * k) & 255) as f32 - 127.5;
                let e = strength * (0.85 * grey + colour * chroma);
                bytes.push(((v + e).clamp(0.0, 1.0) * 255.0 + 0.5) as u8);
            }
        }
        let side = side as u32;
        let image = RgbImage::from_raw(side, side, bytes).unwrap_or_default();
        match self.quality {
            Some(quality) => as_jpeg(&image, quality).unwrap_or(image),
            None => image,
        }
    }
}

fn as_jpeg(image: &RgbImage, quality: u8) -> Option<RgbImage> {
    let mut file = Vec::new();
    JpegEncoder::new_with_quality(&mut file, quality)
        .encode_image(image)
        .ok()?;
    let read = image::load_from_memory_with_format(&file, image::ImageFormat::Jpeg).ok()?;
    Some(read.into_rgb8())
}

/// Blurs with a tent of this radius, along rows and then columns.
fn soften(img: &mut [Rgb], width: usize, height: usize, r: f32) {
    let reach = r as usize + 1;
    let mut weights: Vec<f32> = (0..=reach)
        .map(|k| (1.0 - k as f32 / (r + 1.0)).max(0.0))
        .collect();
    let total = weights[0] + 2.0 * weights[1..].iter().sum::<f32>();
    for w in &mut weights {
        *w /= total;
    }
    let pass =
        |src: &[Rgb], dst: &mut [Rgb], count: usize, length: usize, step: usize, line: usize| {
            for l in 0..count {
                let at = |i: usize| src[l * line + i * step];
                for i in 0..length {
                    let mut sum = at(i).map(|c| c * weights[0]);
                    for (k, w) in weights.iter().enumerate().skip(1) {
                        let (a, b) = (at(i.saturating_sub(k)), at((i + k).min(length - 1)));
                        for (s, c) in sum.iter_mut().zip([0, 1, 2].map(|k| a[k] + b[k])) {
                            *s += w * c;
                        }
                    }
                    dst[l * line + i * step] = sum;
                }
            }
        };
    let mut rows = vec![[0.0; 3]; img.len()];
    pass(img, &mut rows, height, width, 1, width);
    pass(&rows, img, width, height, width, 1);
}

/// Averages along a straight path of whole pixels.
fn moved(img: &[Rgb], width: usize, height: usize, dx: f32, dy: f32) -> Vec<Rgb> {
    let taps = (2.0 * length(dx, dy)) as usize + 2;
    let path: Vec<(isize, isize)> = (0..taps)
        .map(|k| {
            let t = k as f32 / (taps - 1) as f32 - 0.5;
            let round = |v: f32| crate::math::floor(v + 0.5) as isize;
            (round(t * dx), round(t * dy))
        })
        .collect();
    let share = 1.0 / taps as f32;
    let mut out = Vec::with_capacity(img.len());
    for y in 0..height as isize {
        for x in 0..width as isize {
            let mut sum = [0.0; 3];
            for (ox, oy) in &path {
                let xx = (x + ox).clamp(0, width as isize - 1) as usize;
                let yy = (y + oy).clamp(0, height as isize - 1) as usize;
                for (s, c) in sum.iter_mut().zip(img[yy * width + xx]) {
                    *s += share * c;
                }
            }
            out.push(sum);
        }
    }
    out
}
