//! Aligns columns the way Go's `text/tabwriter` does: a column is a run of lines that have the cell.

/// How columns are padded.
#[derive(Clone, Copy)]
pub struct Style {
    /// Least width of a cell, padding included.
    pub min_width: usize,
    /// Spaces after the longest cell.
    pub padding: usize,
}

/// Tables of `get` and the like.
pub const TABLE: Style = Style { min_width: 6, padding: 3 };
/// Descriptions.
pub const DESCRIBE: Style = Style { min_width: 0, padding: 2 };

/// Aligns the tab-separated cells of a text.
pub fn align(text: &str, style: Style) -> String {
    let lines: Vec<Vec<&str>> =
        text.strip_suffix('\n').unwrap_or(text).split('\n').map(|line| line.split('\t').collect()).collect();
    let mut writer = Writer { lines: &lines, style, widths: Vec::new(), out: String::new() };
    writer.block(0, lines.len());
    writer.out
}

struct Writer<'a> {
    lines: &'a [Vec<&'a str>],
    style: Style,
    widths: Vec<usize>,
    out: String,
}

impl Writer<'_> {
    fn block(&mut self, mut start: usize, end: usize) {
        let column = self.widths.len();
        let mut at = start;
        while at < end {
            if column + 1 >= self.lines[at].len() {
                at += 1;
                continue;
            }
            self.write(start, at);
            start = at;
            let mut width = self.style.min_width;
            while at < end && column + 1 < self.lines[at].len() {
                width = width.max(self.lines[at][column].chars().count() + self.style.padding);
                at += 1;
            }
            self.widths.push(width);
            self.block(start, at);
            self.widths.pop();
            start = at;
        }
        self.write(start, end);
    }

    fn write(&mut self, start: usize, end: usize) {
        for line in &self.lines[start..end] {
            for (index, cell) in line.iter().enumerate() {
                self.out.push_str(cell);
                if let Some(width) = self.widths.get(index) {
                    let pad = width.saturating_sub(cell.chars().count());
                    self.out.extend(std::iter::repeat_n(' ', pad));
                }
            }
            self.out.push('\n');
        }
    }
}
