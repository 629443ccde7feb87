//! Vector drawing of products, in coordinates that do not know the size of the picture.

use tiny_skia::{
    Color, FillRule, GradientStop, LineCap, LinearGradient, Paint, Path, PathBuilder, Pixmap,
    Point, RadialGradient, Rect, Shader, SpreadMode, Stroke, Transform,
};

use super::picture::{Layer, Picture, Spot, linear};
use super::shapes::{polygon, polyline};
use crate::math::{Rgb, cos, sin};

/// A colour as displays have it.
pub(crate) type Hue = [u8; 3];

/// A sheet of glass to draw on: −100..100 both ways, the product in the middle.
pub(crate) struct Board {
    pixmap: Pixmap,
    place: Transform,
}

impl Board {
    /// Glass of `side` pixels; the drawing lies turned and moved on it.
    pub(crate) fn new(side: u32, turn: f32, scale: f32, (dx, dy): Spot) -> Option<Self> {
        let zoom = side as f32 / 200.0 * scale;
        let middle = side as f32 / 2.0;
        let (c, s) = (cos(turn) * zoom, sin(turn) * zoom);
        Some(Self {
            pixmap: Pixmap::new(side, side)?,
            place: Transform::from_row(c, s, -s, c, middle + dx * zoom, middle + dy * zoom),
        })
    }

    fn paint(&mut self, path: Option<Path>, shader: Option<Shader<'_>>) {
        if let (Some(path), Some(shader)) = (path, shader) {
            let paint = Paint {
                shader,
                ..Paint::default()
            };
            let rule = FillRule::Winding;
            self.pixmap.fill_path(&path, &paint, rule, self.place, None);
        }
    }

    /// Fills with one colour.
    pub(crate) fn fill(&mut self, path: Option<Path>, hue: Hue) {
        self.paint(path, Some(Shader::SolidColor(colour(hue, 255))));
    }

    /// Fills with colours at shares of the way between two points.
    pub(crate) fn sweep(&mut self, path: Option<Path>, (a, b): (Spot, Spot), hues: &[(f32, Hue)]) {
        let (a, b) = (Point::from_xy(a.0, a.1), Point::from_xy(b.0, b.1));
        let shader = LinearGradient::new(a, b, stops(hues), SpreadMode::Pad, Transform::identity());
        self.paint(path, shader);
    }

    /// Fills with colours at shares of a radius.
    pub(crate) fn glow(&mut self, path: Option<Path>, at: Spot, radius: f32, hues: &[(f32, Hue)]) {
        let at = Point::from_xy(at.0, at.1);
        let identity = Transform::identity();
        let shader = RadialGradient::new(at, at, radius, stops(hues), SpreadMode::Pad, identity);
        self.paint(path, shader);
    }

    /// Draws along lines.
    pub(crate) fn line(&mut self, points: &[Spot], width: f32, hue: Hue) {
        let mut path = PathBuilder::new();
        polyline(&mut path, points);
        self.trace(path.finish(), width, hue);
    }

    /// Draws along an outline.
    pub(crate) fn trace(&mut self, path: Option<Path>, width: f32, hue: Hue) {
        let Some(path) = path else { return };
        let paint = Paint {
            shader: Shader::SolidColor(colour(hue, 255)),
            ..Paint::default()
        };
        let pen = Stroke {
            width,
            line_cap: LineCap::Butt,
            ..Stroke::default()
        };
        self.pixmap
            .stroke_path(&path, &paint, &pen, self.place, None);
    }

    /// What was drawn in linear light, and how much of each pixel it covers.
    pub(crate) fn develop(self) -> (Picture, Layer) {
        let side = self.pixmap.width() as usize;
        let pixels = self.pixmap.pixels().iter().map(|p| p.demultiply());
        let light = pixels
            .clone()
            .map(|p| linear([p.red(), p.green(), p.blue()].map(|v| f32::from(v) / 255.0)));
        let picture = Picture {
            width: side,
            height: side,
            pixels: light.collect::<Vec<Rgb>>(),
        };
        let mut cover = Layer::empty(side, side);
        for (value, p) in cover.values.iter_mut().zip(pixels) {
            *value = f32::from(p.alpha()) / 255.0;
        }
        (picture, cover)
    }
}

fn colour([r, g, b]: Hue, alpha: u8) -> Color {
    Color::from_rgba8(r, g, b, alpha)
}

fn stops(hues: &[(f32, Hue)]) -> Vec<GradientStop> {
    let stop = |(at, hue): &(f32, Hue)| GradientStop::new(*at, colour(*hue, 255));
    hues.iter().map(stop).collect()
}

/// A circle.
pub(crate) fn disc((x, y): Spot, radius: f32) -> Option<Path> {
    PathBuilder::from_circle(x, y, radius)
}

/// A ring between two radii, open inside.
pub(crate) fn annulus((x, y): Spot, outer: f32, inner: f32) -> Option<Path> {
    let mut path = PathBuilder::new();
    path.push_circle(x, y, outer);
    // Turning the other way leaves the inside out.
    for k in 0..=48 {
        let angle = -(k as f32) * std::f32::consts::TAU / 48.0;
        let (px, py) = (x + inner * cos(angle), y + inner * sin(angle));
        if k == 0 {
            path.move_to(px, py);
        } else {
            path.line_to(px, py);
        }
    }
    path.close();
    path.finish()
}

/// A box around a point, given by half its width and height.
pub(crate) fn block((x, y): Spot, (w, h): Spot) -> Option<Path> {
    Rect::from_ltrb(x - w, y - h, x + w, y + h).map(PathBuilder::from_rect)
}

/// A box with round corners.
pub(crate) fn card((x, y): Spot, (w, h): Spot, r: f32) -> Option<Path> {
    let (l, t, right, b) = (x - w, y - h, x + w, y + h);
    let k = r * 0.448;
    let mut path = PathBuilder::new();
    path.move_to(l + r, t);
    path.line_to(right - r, t);
    path.cubic_to(right - k, t, right, t + k, right, t + r);
    path.line_to(right, b - r);
    path.cubic_to(right, b - k, right - k, b, right - r, b);
    path.line_to(l + r, b);
    path.cubic_to(l + k, b, l, b - k, l, b - r);
    path.line_to(l, t + r);
    path.cubic_to(l, t + k, l + k, t, l + r, t);
    path.close();
    path.finish()
}

/// Straight lines through corners, closed.
pub(crate) fn corners(points: &[Spot]) -> Option<Path> {
    let mut path = PathBuilder::new();
    polygon(&mut path, points);
    path.finish()
}
