//! What a table says, what is refused in one, and what tokens cost by it.

use std::fs;

use super::*;
use crate::Usage;

fn usage(input: u64, cached: u64, output: u64) -> Usage {
    let mut usage = Usage::default();
    (usage.input_tokens, usage.cached_tokens, usage.output_tokens) = (input, cached, output);
    usage.total_tokens = input.saturating_add(output);
    usage
}

/// What a model costs by a table alone: now, and in a batch.
fn costs(table: &str, model: &str, usage: &Usage) -> [Option<String>; 2] {
    let prices = Prices::from_toml(table).unwrap();
    let price = prices.find(model).unwrap();
    [price.cost(usage), price.batch_cost(usage)].map(|cost| cost.map(Cost::exact))
}

fn both(now: &str, batch: &str) -> [Option<String>; 2] {
    [now, batch].map(|cost| Some(cost.to_owned()))
}

#[test]
fn tokens_cost_what_the_table_says_to_the_last_digit() {
    let table = "[[price]]\nmodels = [\"m\"]\ninput = 0.1\ncached_input = 0.000001\noutput = 10_000\nbatch = 0.5";
    // 0.1 is no number of a float, and half of the smallest price is too small for a batch.
    let error = Prices::from_toml(table).unwrap_err().to_string();
    let expected = "prices the table, line 1, at [[price]]: its price in a batch has more than 6 decimals; say it with \
                    batch_cached_input";
    assert_eq!(error, expected);
    let table = format!("{table}\nbatch_cached_input = 0.000003");
    assert_eq!(costs(&table, "m", &usage(3, 0, 0)), both("0.0000003", "0.00000015"));
    assert_eq!(costs(&table, "m", &usage(3, 2, 1)), both("0.010000100002", "0.005000050006"));
    assert_eq!(costs(&table, "m", &usage(0, 0, 0)), both("0", "0"));
    // No more than the input can be cached.
    assert_eq!(costs(&table, "m", &usage(1, 9, 0)), both("0.000000000001", "0.000000000003"));
    let many = usage(u64::MAX, 0, u64::MAX);
    assert_eq!(costs(&table, "m", &many)[0].as_deref(), Some("184469285411502887.1051615"));
}

#[test]
fn what_is_left_out_has_its_rule() {
    let table = "[[price]]\nmodels = [\"m\"]\ninput = 2";
    // Cached input costs as input, and a batch as much as one request after the other.
    assert_eq!(costs(table, "m", &usage(1_000_000, 500_000, 0)), both("2", "2"));
    // What is written has no price here, and is not taken for nothing.
    assert_eq!(costs(table, "m", &usage(1, 0, 1)), [None, None]);
    // Nor is what is only known in sum.
    let mut sum = Usage::default();
    sum.total_tokens = 7;
    assert_eq!(costs(table, "m", &sum), [None, None]);
    let price = Prices::from_toml(table).unwrap().find("m").cloned().unwrap();
    assert_eq!((price.source(), price.date(), price.models()), (None, None, &["m".to_owned()][..]));
    assert_eq!(price.parts(1_000_000, 1, false), (price.cost(&usage(1_000_000, 0, 0)).unwrap(), None));
}

#[test]
fn long_requests_cost_as_their_tier_as_a_whole() {
    let table = "
        [[price]]
        models = ['m']
        input = 1
        output = 10
        batch = 0.5
        [[price.tier]]
        above = 100
        input = 2
        output = 15
        [[price.tier]]
        above = 1000
        input = 4
        cached_input = 1
        output = 20
        batch_output = 12.5";
    for (tokens, expected) in [
        (usage(100, 0, 1), both("0.00011", "0.000055")),
        (usage(101, 0, 1), both("0.000217", "0.0001085")),
        (usage(1000, 0, 1), both("0.002015", "0.0010075")),
        (usage(1001, 1, 1), both("0.004021", "0.002013")),
    ] {
        assert_eq!(costs(table, "m", &tokens), expected, "{tokens:?}");
    }
}

#[test]
fn a_model_is_found_by_name_then_without_its_date_then_by_a_pattern() {
    let own = "
        [[price]]
        models = ['gpt-4.1', 'mine-2026-01-02']
        input = 7
        [[price]]
        models = ['meetkai:*', '*-mini-*x', 'mine*']
        input = 9
        [[price]]
        models = ['meetkai:large']
        input = 0
        output = 0";
    let prices = Prices::from_toml(own).unwrap();
    let input = |model: &str| prices.find(model).map(|price| price.cost(&usage(1_000_000, 0, 0)).unwrap().exact());
    for (model, expected) in [
        ("gpt-4.1", Some("7")),
        ("gpt-4.1-2025-04-14", Some("7")),
        ("gpt-4.1-mini", Some("0.4")),
        ("gpt-4o-2024-05-13", Some("5")),
        ("gpt-4o-2024-08-06", Some("2.5")),
        ("mine-2026-01-02", Some("7")),
        ("mine-2026-01-03", Some("9")),
        ("meetkai:large", Some("0")),
        ("meetkai:large-2026-01-01", Some("0")),
        ("meetkai:small", Some("9")),
        ("meetkai:", Some("9")),
        ("a-mini-x", Some("9")),
        ("a-mini-", None),
        ("meetkai", None),
        ("gpt-4.1-2025-4-14", None),
        ("-2025-04-14", None),
        ("é-2025-04-14", None),
        ("", None),
    ] {
        assert_eq!(input(model).as_deref(), expected, "{model}");
    }
    let free = Prices::free();
    assert_eq!(free.find("whatever").unwrap().batch_cost(&usage(5, 0, 5)), Some(Cost::ZERO));
}

#[test]
fn a_fault_names_its_line_and_what_to_do() {
    let entry = |line: &str| format!("# mine\n[[price]]\nmodels = ['m']\n{line}\n");
    let priced = |line: &str| entry(&format!("input = 1\n{line}"));
    for (table, line, said) in [
        (entry("input = -1"), 4, "input: input is less than 0"),
        (entry("input = 10000.01"), 4, "input is more than 10000: prices are dollars for a million tokens"),
        (entry("input = 99999999999999999999999999999999999999999999.0"), 4, "input is more than 10000"),
        (entry("input = nan"), 4, "input is not a plain number"),
        (entry("input = inf"), 4, "input is not a plain number"),
        (entry("input = 1e-3"), 4, "input is not a plain number"),
        (entry("input = 0x1"), 4, "input is not a number"),
        (entry("input = '1'"), 4, "input is not a number, such as 0.15"),
        (entry("input = 0.0000001"), 4, "input has more than 6 decimals"),
        (entry("output = 1"), 2, "input is missing"),
        (priced("outptu = 1"), 5, "\"outptu\" is not known here; known: models, input, cached_input"),
        (priced("output = -0.5"), 5, "output is less than 0"),
        (priced("batch = 50"), 5, "batch is more than 1; half the price is 0.5"),
        (priced("source = 1"), 5, "source is a text"),
        (priced("date = 'yesterday'"), 5, "date is a day, such as 2026-11-05"),
        (priced("date = 2026-11-05T01:02:03"), 5, "date is a day"),
        (priced("tier = 1"), 5, "tier is a table of its own for each: [[tier]]"),
        (priced("[[price.tier]]\ninput = 2"), 5, "above is missing"),
        (priced("[[price.tier]]\nabove = 1.5\ninput = 2"), 6, "above is a number of tokens"),
        (priced("[[price.tier]]\nabove = 1\ninput = 2\nbatch = 1"), 8, "\"batch\" is not known here"),
        (priced("[[price]]\nmodels = ['x', 'm']\ninput = 1"), 6, "the model \"m\" has a price in line 3 already"),
        ("[[price]]\ninput = 1".to_owned(), 1, "models is missing"),
        ("[[price]]\nmodels = []\ninput = 1".to_owned(), 2, "models is a list of names"),
        ("[[price]]\nmodels = 'm'\ninput = 1".to_owned(), 2, "models is a list of names"),
        ("[[price]]\nmodels = ['m', '']\ninput = 1".to_owned(), 2, "models is a list of names"),
        ("[price]\nmodels = ['m']".to_owned(), 1, "price is a table of its own for each: [[price]]"),
        ("\nprices = 1".to_owned(), 2, "\"prices\" is not known here; known: price"),
        ("[[price]]\nmodels = ['m'\n".to_owned(), 2, ""),
        ("[[price]]\ninput = 1\ninput = 2".to_owned(), 3, ""),
    ] {
        let error = Prices::from_toml(&table).unwrap_err();
        let text = error.to_string();
        assert!(
            error.is_invalid() && text.starts_with(&format!("prices the table, line {line}, at ")),
            "{table}: {text}"
        );
        assert!(text.contains(said), "{table}: {text}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    let refused = |path: &Path| Prices::from_file(path).unwrap_err().to_string();
    assert!(refused(&path).starts_with(&format!("prices {}: ", path.display())), "{}", refused(&path));
    fs::write(&path, "x").unwrap();
    assert!(refused(&path).starts_with(&format!("prices {}, line 1, ", path.display())), "{}", refused(&path));
    fs::write(&path, "").unwrap();
    assert!(Prices::from_file(&path).unwrap().find("o3").is_some());
}

#[test]
fn no_table_is_so_odd_that_it_panics() {
    let table = "[[price]] # é\nmodels = ['é', \"b\"]\ninput = 1.25\nbatch = 0.5\ndate = 2026-11-05\n\
                 [[price.tier]]\nabove = 9\ninput = 2\n";
    assert!(Prices::from_toml(&format!("\u{feff}{table}")).unwrap().find("b").is_some());
    for (at, _) in table.char_indices() {
        let (before, after) = table.split_at(at);
        let _ = Prices::from_toml(before);
        for odd in ["", "\0", "\r", "'", "=", "[", "]", "9", "é", "\u{feff}"] {
            let _ = Prices::from_toml(&format!("{before}{odd}{after}"));
            let rest = after.chars().skip(1).collect::<String>();
            let _ = Prices::from_toml(&format!("{before}{odd}{rest}"));
        }
    }
}

/// A price that is absurd, or that nobody can look up, is worse than none.
#[test]
fn every_built_in_price_is_sane_and_says_where_and_when_it_was_read() {
    let prices = read::read("built_in.toml", BUILT_IN).unwrap();
    assert!((20..=60).contains(&prices.len()), "{}", prices.len());
    let dollar = 1_000_000;
    for Price { models, rates, tiers, source, date } in prices {
        assert!(models.iter().all(|model| !model.contains('*')), "{models:?}");
        assert_eq!(source.as_deref(), Some("docs/facts.md, 13"), "{models:?}");
        let date = date.unwrap_or_default();
        assert!(date.as_str() > "2026-01-01" && date.as_str() < "2027-01-01", "{models:?}: {date}");
        let (base, mut before) = ((0, rates), (0, 0));
        for (above, price::Both { now, batch }) in std::iter::once(&base).chain(tiers.iter().rev()) {
            let free = models.iter().all(|model| model.starts_with("omni-moderation"));
            assert!(free == (now.input == 0) && now.input <= 200 * dollar, "{models:?}");
            assert!(now.cached_input <= now.input, "{models:?}");
            assert!(now.output.is_none_or(|output| output >= now.input && output <= 10 * now.input), "{models:?}");
            // OpenAI's batches cost half, but for cached input.
            assert_eq!((batch.input * 2, batch.output.map(|output| output * 2)), (now.input, now.output), "{models:?}");
            assert!(batch.cached_input * 2 >= now.cached_input && batch.cached_input <= batch.input, "{models:?}");
            assert!(*above == 0 || *above >= 100_000, "{models:?}");
            assert!(*above == 0 || (*above, now.input) > before && now.input > before.1, "{models:?}");
            before = (*above, now.input);
        }
    }
    assert!(Prices::built_in().find("gpt-4.1-mini").is_some() && Prices::default().find("meetkai:small").is_none());
}
