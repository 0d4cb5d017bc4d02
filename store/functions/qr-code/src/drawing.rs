//! Draws QR codes, as a picture or with the characters of a terminal.

use std::fmt::Write;

use qrcodegen::QrCode;

use crate::Drawn;

/// Returns a picture: dark modules on white, of one path.
pub fn svg(code: &QrCode, border: i32) -> Drawn {
    let side = code.size() + 2 * border;
    let mut out = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h{side}v{side}H0z"/><path d=""##
    );
    for y in 0..code.size() {
        let mut x = 0;
        while x < code.size() {
            let from = x;
            while code.get_module(x, y) {
                x += 1;
            }
            let wide = x - from;
            if wide > 0 {
                let _ = write!(out, "M{} {}h{wide}v1h-{wide}z", from + border, y + border); // a String takes everything
            }
            x += 1;
        }
    }
    out.push_str("\"/></svg>\n");
    ("image/svg+xml", out)
}

/// Returns two rows of modules a line, for a terminal whose background is dark.
pub fn text(code: &QrCode, border: i32) -> Drawn {
    let (from, to) = (-border, code.size() + border);
    let mut out = String::new();
    for y in (from..to).step_by(2) {
        for x in from..to {
            let light = |y: i32| y < to && !code.get_module(x, y);
            out.push(match (light(y), light(y + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        out.push('\n');
    }
    ("text/plain; charset=utf-8", out)
}
