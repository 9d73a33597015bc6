//! Decimal numbers with every digit, whatever their size.

/// The decimal text of a number in two's complement, its highest byte first, with so many digits behind the point.
pub(super) fn text(bytes: &[u8], scale: i32) -> String {
    let is_negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let mut number = bytes.to_vec();
    if is_negative {
        let mut carries = true;
        for byte in number.iter_mut().rev() {
            let (inverted, overflowed) = (!*byte).overflowing_add(u8::from(carries));
            (*byte, carries) = (inverted, overflowed);
        }
    }
    let mut digits = Vec::new();
    while number.iter().any(|byte| *byte != 0) {
        let mut rest = 0_u32;
        for byte in &mut number {
            let part = rest << 8 | u32::from(*byte);
            // Below 256, since what was left before is below 10.
            *byte = u8::try_from(part / 10).unwrap_or(u8::MAX);
            rest = part % 10;
        }
        digits.push(char::from_digit(rest, 10).unwrap_or('0'));
    }
    let scale = usize::try_from(scale).unwrap_or(0);
    while digits.len() <= scale {
        digits.push('0');
    }
    let mut text: String = digits.into_iter().rev().collect();
    if scale > 0 {
        text.insert(text.len() - scale, '.');
    }
    if is_negative { format!("-{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_digit_is_there() {
        let mut wide = vec![0xff; 32];
        assert_eq!(text(&wide, 0), "-1");
        wide[0] = 0x7f;
        assert_eq!(text(&wide, 3).len(), 78);
        for (number, scale, expected) in [
            (0_i128, 0, "0"),
            (0, 2, "0.00"),
            (5, 2, "0.05"),
            (-5, 2, "-0.05"),
            (1250, 2, "12.50"),
            (-1250, 0, "-1250"),
            (i128::MIN, 0, "-170141183460469231731687303715884105728"),
            (i128::MAX, 38, "1.70141183460469231731687303715884105727"),
        ] {
            assert_eq!(text(&number.to_be_bytes(), scale), expected);
        }
        assert_eq!(text(&[], 0), "0");
    }
}
