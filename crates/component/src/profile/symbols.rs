//! The names of this program's functions, from its own file.

use std::fs;

/// Functions by address, as they are in memory.
pub(super) struct Symbols {
    /// Start, size and mangled name, by start.
    functions: Vec<(usize, usize, String)>,
    /// Where the program is in memory, and the file that it is from.
    pub(super) mapping: Mapping,
}

/// Where the program is in memory.
pub(super) struct Mapping {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) file: String,
}

impl Symbols {
    /// Reads the program's file; `None` when it is none that is understood.
    pub(super) fn of_this_process() -> Option<Self> {
        let file = fs::read_link("/proc/self/exe").ok()?.to_string_lossy().into_owned();
        let maps = fs::read_to_string("/proc/self/maps").ok()?;
        let mapping = mapping(&maps, &file)?;
        let functions = functions(&fs::read("/proc/self/exe").ok()?, mapping.start)?;
        Some(Self { functions, mapping })
    }

    /// The function that an address is in.
    pub(super) fn name(&self, address: usize) -> Option<String> {
        let after = self.functions.partition_point(|(start, ..)| *start <= address);
        let (start, size, name) = self.functions.get(after.checked_sub(1)?)?;
        (address - start < (*size).max(1)).then(|| format!("{:#}", rustc_demangle::demangle(name)))
    }
}

/// The first and the last place of a file in `/proc/self/maps`.
fn mapping(maps: &str, file: &str) -> Option<Mapping> {
    let mut places = maps.lines().filter(|line| line.ends_with(file)).filter_map(|line| {
        let (start, end) = line.split(' ').next()?.split_once('-')?;
        Some((usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?))
    });
    let (start, end) = places.next()?;
    let end = places.map(|(_, end)| end).max().unwrap_or(end);
    Some(Mapping { start, end, file: file.to_owned() })
}

/// The functions of a 64-bit little-endian ELF file (System V ABI, chapter 4) that is loaded at an address.
fn functions(elf: &[u8], loaded_at: usize) -> Option<Vec<(usize, usize, String)>> {
    const IDENTITY: [u8; 6] = [0x7f, b'E', b'L', b'F', 2, 1];
    const SYMBOL_TABLE: u32 = 2;
    const FUNCTION: u8 = 2;
    const DYNAMIC: u16 = 3;
    if !elf.starts_with(&IDENTITY) {
        return None;
    }
    // A program that may be anywhere is laid out from zero on.
    let bias = if u16_at(elf, 16)? == DYNAMIC { loaded_at } else { 0 };
    let (offset, size, count) = (usize_at(elf, 40)?, usize::from(u16_at(elf, 58)?), u16_at(elf, 60)?);
    let section = |index: usize| elf.get(offset.checked_add(index.checked_mul(size)?)?..);
    let content = |section: &[u8]| {
        let start = usize_at(section, 24)?;
        elf.get(start..start.checked_add(usize_at(section, 32)?)?)
    };
    let table =
        (0..usize::from(count)).filter_map(section).find(|one| u32_at(one, 4) == Some(SYMBOL_TABLE))?;
    let names = content(section(usize::try_from(u32_at(table, 40)?).ok()?)?)?;
    let mut functions = Vec::new();
    for symbol in content(table)?.chunks_exact(24) {
        let (address, size) = (usize_at(symbol, 8)?, usize_at(symbol, 16)?);
        if symbol[4] & 0xf != FUNCTION || address == 0 {
            continue;
        }
        let name = names.get(usize::try_from(u32_at(symbol, 0)?).ok()?..)?;
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        functions.push((address.wrapping_add(bias), size, String::from_utf8_lossy(name).into_owned()));
    }
    functions.sort_unstable();
    Some(functions)
}

fn bytes<const N: usize>(data: &[u8], at: usize) -> Option<[u8; N]> {
    data.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn u16_at(data: &[u8], at: usize) -> Option<u16> {
    bytes(data, at).map(u16::from_le_bytes)
}

fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    bytes(data, at).map(u32::from_le_bytes)
}

fn usize_at(data: &[u8], at: usize) -> Option<usize> {
    bytes(data, at).map(u64::from_le_bytes).and_then(|number| usize::try_from(number).ok())
}
