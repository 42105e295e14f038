//! Text in a fixed place, for shared memory.

/// At most `N` bytes of text.
#[derive(Clone, Copy)]
pub struct Fixed<const N: usize> {
    length: u16,
    bytes: [u8; N],
}

impl<const N: usize> Fixed<N> {
    /// No text.
    pub const EMPTY: Fixed<N> = Fixed { length: 0, bytes: [0; N] };

    /// As much of `text` as there is room for.
    pub fn new(text: &str) -> Fixed<N> {
        let mut fixed = Fixed::EMPTY;
        let length = text.floor_char_boundary(N);
        fixed.bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
        fixed.length = u16::try_from(length).unwrap_or(0);
        fixed
    }

    /// The text.
    pub fn get(&self) -> String {
        String::from_utf8_lossy(&self.bytes[..usize::from(self.length)]).into_owned()
    }
}
