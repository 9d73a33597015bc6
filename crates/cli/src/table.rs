//! Tables on a terminal: what does not fit is left out from the right, and what names something is never cut.

use crate::layout::{cut, width};

/// Between two columns.
const GAP: &str = "  ";

/// The fewest columns of the terminal that a text is cut to before its column is left out.
const LEAST: usize = 10;

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) head: &'static str,
    /// Numbers stand at the right.
    pub(crate) right: bool,
    /// How many columns of the terminal it takes at the most, of a text that may be cut.
    pub(crate) most: Option<usize>,
}

impl Column {
    /// Whose texts are whole or not there.
    pub(crate) const fn whole(head: &'static str) -> Self {
        Self { head, right: false, most: None }
    }

    /// Of numbers.
    pub(crate) const fn number(head: &'static str) -> Self {
        Self { head, right: true, most: None }
    }

    /// Whose texts may be cut.
    pub(crate) const fn text(head: &'static str, most: usize) -> Self {
        Self { head, right: false, most: Some(most) }
    }
}

/// A table that is printed piece by piece: what the first rows take is what the others have.
#[derive(Debug)]
pub(crate) struct Table<const N: usize> {
    columns: [Column; N],
    terminal: usize,
    /// How wide each column is; none before the first rows.
    widths: Option<Vec<usize>>,
}

impl<const N: usize> Table<N> {
    /// In a terminal of so many columns.
    pub(crate) fn new(columns: [Column; N], terminal: usize) -> Self {
        Self { columns, terminal, widths: None }
    }

    /// These rows, under the heads if they are the first. Their texts are visible.
    pub(crate) fn lines(&mut self, rows: &[[String; N]]) -> Vec<String> {
        let mut lines = Vec::new();
        let widths = match self.widths.take() {
            Some(widths) => widths,
            None => {
                let widths = self.fit(rows);
                lines.push(self.line(&self.columns.map(|column| column.head.to_owned()), &widths));
                widths
            }
        };
        lines.extend(rows.iter().map(|row| self.line(row, &widths)));
        self.widths = Some(widths);
        lines
    }

    /// How wide the columns are that fit; the first one is always there. A column in which nothing stands is left out.
    fn fit(&self, rows: &[[String; N]]) -> Vec<usize> {
        let mut widths: Vec<usize> = (0..N)
            .map(|at| {
                let widest = rows.iter().map(|row| width(&row[at])).max().unwrap_or(0);
                let widest = widest.min(self.columns[at].most.unwrap_or(usize::MAX));
                if widest == 0 && at > 0 { 0 } else { widest.max(width(self.columns[at].head)) }
            })
            .collect();
        for at in (1..N).rev() {
            let taken = |widths: &[usize]| {
                let shown = widths.iter().filter(|width| **width > 0);
                shown.map(|width| width + GAP.len()).sum::<usize>().saturating_sub(GAP.len())
            };
            let over = taken(&widths).saturating_sub(self.terminal);
            if over == 0 {
                break;
            }
            let least = width(self.columns[at].head).max(LEAST);
            let can_be_cut = self.columns[at].most.is_some() && widths[at] >= least + over;
            widths[at] = if can_be_cut { widths[at] - over } else { 0 };
        }
        widths
    }

    fn line(&self, row: &[String; N], widths: &[usize]) -> String {
        let mut line = String::new();
        for ((text, column), columns) in row.iter().zip(&self.columns).zip(widths).filter(|(_, width)| **width > 0) {
            let text = if column.most.is_some() { cut(text, *columns) } else { text.clone() };
            let blanks = " ".repeat(columns.saturating_sub(width(&text)));
            if !line.is_empty() {
                line.push_str(GAP);
            }
            if column.right {
                line.push_str(&blanks);
            }
            line.push_str(&text);
            if !column.right {
                line.push_str(&blanks);
            }
        }
        line.truncate(line.trim_end().len());
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 4] =
        [Column::whole("ID"), Column::number("AGE"), Column::text("NAME", 30), Column::whole("RUN")];

    fn rows() -> Vec<[String; 4]> {
        [
            ["batch_0123456789abcdef0123456789", "3h 20m", "日本語の質問とても長い名前のファイル.jsonl", "1a2b3c4d"],
            ["batch_1", "5s", "b.jsonl", ""],
        ]
        .map(|row| row.map(str::to_owned))
        .into()
    }

    #[test]
    fn what_does_not_fit_goes_from_the_right_and_no_id_is_cut() {
        for terminal in [10, 20, 40, 41, 50, 52, 60, 80, 200] {
            let lines = Table::new(COLUMNS, terminal).lines(&rows());
            assert_eq!(lines.len(), 3);
            assert!(lines[1].starts_with("batch_0123456789abcdef0123456789"), "{lines:?}");
            if terminal >= 32 {
                assert!(lines.iter().all(|line| width(line) <= terminal), "{terminal}: {lines:?}");
            }
            let heads: Vec<&str> = lines[0].split_whitespace().collect();
            let expected = match terminal {
                0..40 => &["ID"][..],
                40..52 => &["ID", "AGE"],
                52..82 => &["ID", "AGE", "NAME"],
                _ => &["ID", "AGE", "NAME", "RUN"],
            };
            assert_eq!(heads, expected, "{terminal}: {lines:?}");
        }
    }

    #[test]
    fn columns_stand_below_each_other_whatever_the_script() {
        let lines = Table::new(COLUMNS, 90).lines(&rows());
        let column_of = |line: &str, text: &str| width(&line[..line.find(text).unwrap()]);
        assert_eq!(column_of(&lines[0], "RUN"), column_of(&lines[1], "1a2b3c4d"), "{lines:#?}");
        assert_eq!(lines[1].find("3h 20m"), lines[2].find("    5s"), "{lines:#?}");
        assert!(!lines[2].ends_with(' '), "{lines:#?}");
    }

    #[test]
    fn later_rows_stand_as_the_first_ones_did_and_empty_columns_are_left_out() {
        let mut table = Table::new(COLUMNS, 80);
        let row = |id: &str| [id, "1s", "", ""].map(str::to_owned);
        assert_eq!(table.lines(&[row("batch_1")]), ["ID       AGE", "batch_1   1s"]);
        assert_eq!(table.lines(&[row("b")]), ["b         1s"]);
    }
}
