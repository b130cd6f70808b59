//! Deflate, read block by block out of one window that lasts as long as the connection (RFC 1951).
//!
//! A library reads a whole stream or cannot be primed with a dictionary; here every frame brings some whole blocks.

/// How far back a copy may reach.
const WINDOW: usize = 32 << 10;
/// What one frame may grow to.
const MAX_PLAIN: usize = 1 << 20;

/// The state between frames.
pub(super) struct Inflate {
    window: Vec<u8>,
}

struct Bits<'a> {
    input: &'a [u8],
    at: usize,
    held: u32,
    count: u32,
}

impl Bits<'_> {
    fn take(&mut self, wanted: u32) -> Result<u32, &'static str> {
        while self.count < wanted {
            let byte = *self.input.get(self.at).ok_or("cut short")?;
            self.at += 1;
            self.held |= u32::from(byte) << self.count;
            self.count += 8;
        }
        let bits = self.held & ((1 << wanted) - 1);
        self.held >>= wanted;
        self.count -= wanted;
        Ok(bits)
    }

    /// Drops what is left of the present byte.
    fn align(&mut self) {
        self.held = 0;
        self.count = 0;
    }

    fn is_empty(&self) -> bool {
        self.at >= self.input.len() && self.count < 3
    }
}

/// A prefix code: how many codes of each length there are, and their symbols in order.
struct Code {
    counts: [u16; 16],
    symbols: Vec<u16>,
}

impl Code {
    fn new(lengths: &[u8]) -> Result<Self, &'static str> {
        let mut counts = [0_u16; 16];
        for &length in lengths {
            *counts.get_mut(usize::from(length)).ok_or("a code is too long")? += 1;
        }
        counts[0] = 0;
        let mut offsets = [0_usize; 16];
        for length in 1..15 {
            offsets[length + 1] = offsets[length] + usize::from(counts[length]);
        }
        let mut symbols = vec![0; lengths.len()];
        for (symbol, &length) in lengths.iter().enumerate().filter(|(_, length)| **length > 0) {
            let offset = &mut offsets[usize::from(length)];
            symbols[*offset] = u16::try_from(symbol).unwrap_or_default();
            *offset += 1;
        }
        Ok(Self { counts, symbols })
    }

    fn read(&self, bits: &mut Bits<'_>) -> Result<usize, &'static str> {
        let (mut code, mut first, mut index) = (0_i32, 0_i32, 0_i32);
        for length in 1..=15 {
            code |= i32::try_from(bits.take(1)?).unwrap_or_default();
            let count = i32::from(self.counts[length]);
            if code - count < first {
                let at = usize::try_from(index + code - first).map_err(|_| "a bad code")?;
                return self.symbols.get(at).copied().map(usize::from).ok_or("a bad code");
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        Err("a bad code")
    }
}

const LENGTH_BASE: [u16; 29] = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195,
    227, 258,
];
const LENGTH_EXTRA: [u8; 29] =
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const DISTANCE_BASE: [u16; 30] = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073,
    4097, 6145, 8193, 12289, 16385, 24577,
];
const DISTANCE_EXTRA: [u8; 30] =
    [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13];
/// The order in which the lengths of the length code itself come.
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

impl Inflate {
    pub(super) fn new(dictionary: Vec<u8>) -> Self {
        Self { window: dictionary }
    }

    /// Reads the whole blocks of one frame.
    pub(super) fn inflate(&mut self, input: &[u8]) -> Result<Vec<u8>, &'static str> {
        let mut bits = Bits { input, at: 0, held: 0, count: 0 };
        let start = self.window.len();
        while !bits.is_empty() {
            let last = bits.take(1)? == 1;
            match bits.take(2)? {
                0 => self.stored(&mut bits)?,
                1 => {
                    let (lengths, distances) = fixed()?;
                    self.coded(&mut bits, &lengths, &distances, start)?;
                }
                2 => {
                    let (lengths, distances) = dynamic(&mut bits)?;
                    self.coded(&mut bits, &lengths, &distances, start)?;
                }
                _ => return Err("a bad block"),
            }
            if self.window.len() - start > MAX_PLAIN {
                return Err("too long");
            }
            if last {
                break;
            }
        }
        let plain = self.window.get(start..).unwrap_or_default().to_vec();
        let surplus = self.window.len().saturating_sub(WINDOW);
        self.window.drain(..surplus);
        Ok(plain)
    }

    fn stored(&mut self, bits: &mut Bits<'_>) -> Result<(), &'static str> {
        bits.align();
        let head = bits.input.get(bits.at..bits.at + 4).ok_or("cut short")?;
        let length = usize::from(u16::from_le_bytes([head[0], head[1]]));
        bits.at += 4;
        let data = bits.input.get(bits.at..bits.at + length).ok_or("cut short")?;
        self.window.extend_from_slice(data);
        bits.at += length;
        Ok(())
    }

    fn coded(
        &mut self,
        bits: &mut Bits<'_>,
        lengths: &Code,
        distances: &Code,
        start: usize,
    ) -> Result<(), &'static str> {
        loop {
            let symbol = lengths.read(bits)?;
            match symbol {
                0..256 => self.window.push(u8::try_from(symbol).unwrap_or_default()),
                256 => return Ok(()),
                _ => {
                    let at = symbol - 257;
                    let base = *LENGTH_BASE.get(at).ok_or("a bad length")?;
                    let length = usize::from(base) + bits.take(u32::from(LENGTH_EXTRA[at]))? as usize;
                    let at = distances.read(bits)?;
                    let base = *DISTANCE_BASE.get(at).ok_or("a bad distance")?;
                    let distance = usize::from(base) + bits.take(u32::from(DISTANCE_EXTRA[at]))? as usize;
                    let from = self.window.len().checked_sub(distance).ok_or("a bad distance")?;
                    for index in from..from + length {
                        let byte = self.window[index];
                        self.window.push(byte);
                    }
                }
            }
            if self.window.len() - start > MAX_PLAIN {
                return Err("too long");
            }
        }
    }
}

fn fixed() -> Result<(Code, Code), &'static str> {
    let mut lengths = [8_u8; 288];
    lengths[144..256].fill(9);
    lengths[256..280].fill(7);
    Ok((Code::new(&lengths)?, Code::new(&[5; 30])?))
}

fn dynamic(bits: &mut Bits<'_>) -> Result<(Code, Code), &'static str> {
    let lengths = bits.take(5)? as usize + 257;
    let distances = bits.take(5)? as usize + 1;
    let own = bits.take(4)? as usize + 4;
    let mut code_lengths = [0_u8; 19];
    for &place in ORDER.iter().take(own) {
        code_lengths[place] = u8::try_from(bits.take(3)?).unwrap_or_default();
    }
    let code = Code::new(&code_lengths)?;
    let mut all: Vec<u8> = Vec::with_capacity(lengths + distances);
    while all.len() < lengths + distances {
        let symbol = code.read(bits)?;
        let (value, times) = match symbol {
            0..16 => (u8::try_from(symbol).unwrap_or_default(), 1),
            16 => (*all.last().ok_or("nothing to repeat")?, 3 + bits.take(2)?),
            17 => (0, 3 + bits.take(3)?),
            _ => (0, 11 + bits.take(7)?),
        };
        all.extend(std::iter::repeat_n(value, times as usize));
    }
    let (first, second) = all.get(..lengths + distances).ok_or("too many lengths")?.split_at(lengths);
    Ok((Code::new(first)?, Code::new(second)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_input_is_an_error_and_no_panic() {
        let mut dice = testkit::Dice::new(0x2545_f491_4f6c_dd1d);
        for _ in 0..2_000 {
            let input: Vec<u8> = (0..40).map(|_| dice.roll(256) as u8).collect();
            let _ = Inflate::new(b"dictionary".to_vec()).inflate(&input);
        }
    }
}
