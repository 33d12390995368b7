//! The page for people, at `/ui/`: what is here, how large it is, how it is pulled. It changes nothing.
//!
//! `address` reads its URLs, `listing` and `image` look things up, `templates` writes HTML. Everything comes
//! from this server and works without JavaScript; whatever a client pushed is escaped, and the policy that
//! goes with every answer forbids what would get past that. Who may see what is decided before one gets
//! here, by the same checks as for the API.

mod address;
mod document;
mod image;
mod listing;
mod shown;
mod templates;

pub use address::{Wanted, parse};
pub use image::image;
pub use listing::{repositories, tags};
pub use templates::{SCRIPT, STYLE, failure};

/// What a page may do: use its own style sheet and its own script, and send its search form here.
pub const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; form-action 'self'; \
                          base-uri 'none'; frame-ancestors 'none'";

/// What a page has to know of where it is.
pub struct Site {
    /// What people write before a name when they pull.
    pub host: String,
    /// What comes before `/ui/`.
    pub base: String,
}
