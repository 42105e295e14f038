//! From a view to text. Pure, so that what a terminal shows is tested without a server.
pub mod json;
pub mod table;

use crate::view::View;

/// How to show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For programs: one JSON value.
    Json,
}

/// The text, with its line ends.
pub fn render(view: &View, format: Format) -> String {
    match format {
        Format::Text => table::render(view),
        Format::Json => json::render(view),
    }
}
