//! The links between the nodes, each of which may be cut.

/// Those that are cut; all others stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Links(u8);

impl Links {
    /// Every pair of so many nodes.
    pub fn pairs(nodes: usize) -> impl Iterator<Item = (usize, usize)> {
        (0..nodes).flat_map(move |b| (0..b).map(move |a| (a, b)))
    }

    fn bit(a: usize, b: usize) -> u8 {
        let (low, high) = (a.min(b), a.max(b));
        1 << (high * (high - 1) / 2 + low)
    }

    pub fn stands(self, a: usize, b: usize) -> bool {
        self.0 & Links::bit(a, b) == 0
    }

    pub fn all_stand(self) -> bool {
        self.0 == 0
    }

    pub fn cut(&mut self, a: usize, b: usize) {
        self.0 |= Links::bit(a, b);
    }

    pub fn heal(&mut self, a: usize, b: usize) {
        self.0 &= !Links::bit(a, b);
    }
}
