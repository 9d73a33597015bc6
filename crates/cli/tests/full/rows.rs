//! Rows of Parquet: what their values are in a template, what is refused, and a run of them.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FixedLenByteArray, FixedLenByteArrayType, FloatType,
    Int32Type, Int64Type, Int96, Int96Type,
};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;
use serde_json::Value;

use crate::common::{Ended, command, folder, lote_in, names};

/// One column of a group of rows: its values, and the levels at which they are.
type Write = Box<dyn Fn(&mut SerializedColumnWriter<'_>)>;

fn column<T: DataType>(values: Vec<T::T>, definitions: &'static [i16], repetitions: &'static [i16]) -> Write
where
    T::T: 'static,
{
    let levels = |levels: &'static [i16]| (!levels.is_empty()).then_some(levels);
    Box::new(move |to| {
        to.typed::<T>().write_batch(&values, levels(definitions), levels(repetitions)).expect("values");
    })
}

/// Writes a file of this schema, with the same rows in each of so many groups.
fn write(path: &Path, schema: &str, groups: usize, columns: &[Write]) {
    write_as(path, schema, groups, columns, WriterProperties::new());
}

fn write_as(path: &Path, schema: &str, groups: usize, columns: &[Write], properties: WriterProperties) {
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let file = File::create(path).expect("a file");
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).expect("a writer");
    for _ in 0..groups {
        let mut group = writer.next_row_group().expect("a group");
        let mut left = columns.iter();
        while let Some(mut to) = group.next_column().expect("a column") {
            (left.next().expect("as many as the schema has"))(&mut to);
            to.close().expect("written");
        }
        group.close().expect("written");
    }
    writer.close().expect("a file");
}

fn texts(texts: &[&str]) -> Vec<ByteArray> {
    texts.iter().map(|text| ByteArray::from(*text)).collect()
}

fn fixed(bytes: &[&[u8]]) -> Vec<FixedLenByteArray> {
    bytes.iter().map(|bytes| FixedLenByteArray::from(bytes.to_vec())).collect()
}

/// Prepares the rows of `rows.parquet` in this folder.
fn prepare(place: &Path, flags: &[&str]) -> Ended {
    lote_in(command(), place, &[&["prepare", "rows.parquet", "-o", "-"], flags].concat())
}

#[test]
fn values_come_out_as_they_are() {
    const OPTIONAL: &[i16] = &[1, 0];
    let place = folder(&[]);
    let schema = "message m {
        required int64 id;
        optional int64 big (INTEGER(64, false));
        optional binary text (STRING);
        optional double x;
        optional float f;
        optional boolean b;
        required fixed_len_byte_array (5) price (DECIMAL(10, 2));
        optional int32 cents (DECIMAL(9, 2));
        optional int64 at (TIMESTAMP(MICROS, true));
        optional int64 local (TIMESTAMP(NANOS, false));
        optional int96 old;
        optional int32 day (DATE);
        optional int64 time (TIME(NANOS, true));
        optional fixed_len_byte_array (16) uuid (UUID);
        optional group tags (LIST) { repeated group list { optional binary element (STRING); } }
        optional group address { optional binary city (STRING); required int32 zip; }
        optional group counts (MAP) { repeated group key_value { required binary key (STRING); optional int64 value; } }
        optional binary raw;
        repeated int32 plain;
        optional int32 small (INTEGER(8, true));
    }";
    let mut old = Int96::new();
    let nanoseconds: u64 = 61_200_123_456_789;
    old.set_data(nanoseconds as u32, (nanoseconds >> 32) as u32, 2_461_374);
    let columns = [
        column::<Int64Type>(vec![9_007_199_254_740_993, -1], &[], &[]),
        column::<Int64Type>(vec![-1], OPTIONAL, &[]),
        column::<ByteArrayType>(texts(&["é \"x\""]), OPTIONAL, &[]),
        column::<DoubleType>(vec![0.1], OPTIONAL, &[]),
        column::<FloatType>(vec![0.1], OPTIONAL, &[]),
        column::<BoolType>(vec![true], OPTIONAL, &[]),
        column::<FixedLenByteArrayType>(fixed(&[&[0, 0, 0, 4, 226], &[255, 255, 255, 255, 251]]), &[], &[]),
        column::<Int32Type>(vec![-5], OPTIONAL, &[]),
        column::<Int64Type>(vec![1_795_971_600_250_000], OPTIONAL, &[]),
        column::<Int64Type>(vec![1_795_971_600_000_000_001], OPTIONAL, &[]),
        column::<Int96Type>(vec![old], OPTIONAL, &[]),
        column::<Int32Type>(vec![-1], OPTIONAL, &[]),
        column::<Int64Type>(vec![61_200_000_000_000], OPTIONAL, &[]),
        column::<FixedLenByteArrayType>(fixed(&[&(0..16).collect::<Vec<u8>>()]), OPTIONAL, &[]),
        column::<ByteArrayType>(texts(&["a", "b"]), &[3, 2, 3, 1], &[0, 1, 1, 0]),
        column::<ByteArrayType>(texts(&["Rome"]), &[2, 0], &[]),
        column::<Int32Type>(vec![7], OPTIONAL, &[]),
        column::<ByteArrayType>(texts(&["k", "l"]), &[2, 2, 0], &[0, 1, 0]),
        column::<Int64Type>(vec![1], &[3, 2, 0], &[0, 1, 0]),
        column::<ByteArrayType>(texts(&["plain"]), OPTIONAL, &[]),
        column::<Int32Type>(vec![1, 2], &[1, 1, 0], &[0, 1, 0]),
        column::<Int32Type>(vec![-7], OPTIONAL, &[]),
    ];
    write(&place.path().join("rows.parquet"), schema, 2, &columns);
    let ended = prepare(place.path(), &["--endpoint", "chat", "--template", "{\"row\": {{ row }} }"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let first = r#"{"id":9007199254740993,"big":18446744073709551615,"text":"é \"x\"","x":0.1,"f":0.1,"b":true,"price":12.50,"cents":-0.05,"at":"2026-11-29T17:00:00.25Z","local":"2026-11-29T17:00:00.000000001","old":"2026-11-29T17:00:00.123456789Z","day":"1969-12-31","time":"17:00:00","uuid":"00010203-0405-0607-0809-0a0b0c0d0e0f","tags":["a",null,"b"],"address":{"city":"Rome","zip":7},"counts":{"k":1,"l":null},"raw":"plain","plain":[1,2],"small":-7}"#;
    let second = r#"{"id":-1,"big":null,"text":null,"x":null,"f":null,"b":null,"price":-0.05,"cents":null,"at":null,"local":null,"old":null,"day":null,"time":null,"uuid":null,"tags":[],"address":null,"counts":null,"raw":null,"plain":[],"small":null}"#;
    let rows: Vec<&str> = ended
        .stdout
        .lines()
        .map(|line| line.split_once("\"body\":{\"row\":").and_then(|(_, row)| row.strip_suffix("}}")).expect("a row"))
        .collect();
    // The second group as well, whose instants come from another reader.
    assert_eq!(rows, [first, second, first, second]);

    let user = "{{ price }} {{ at }} {{ tags[0] }} {{ address.city }} {{ row.counts }} {{ id }}";
    let ended = prepare(place.path(), &["--model", "m", "--user", user]);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.stderr.starts_with("row 2: --user line 1, column 16: a value is null"), "{ended:?}");
    assert!(ended.stderr.contains("(and in 1 more row: 4)"), "{ended:?}");
    let ended = prepare(place.path(), &["--model", "m", "--user", "{{ prise }}"]);
    assert!(ended.stderr.contains("did you mean price?") && ended.stderr.contains("\"id\", \"big\""), "{ended:?}");
}

#[test]
fn what_cannot_be_read_is_refused_with_its_column() {
    let place = folder(&[]);
    let path = place.path().join("rows.parquet");
    let ask = ["--model", "m", "--user", "{{ a }}"];
    let said = |expected: &str| {
        let ended = prepare(place.path(), &ask);
        assert_eq!((ended.code, ended.stdout.as_str()), (3, ""), "{expected}: {ended:?}");
        assert!(ended.stderr.contains(expected), "{expected}: {ended:?}");
    };
    let interval = "message m { required fixed_len_byte_array (12) a (INTERVAL); }";
    write(&path, interval, 1, &[column::<FixedLenByteArrayType>(fixed(&[&[0; 12]]), &[], &[])]);
    said("column \"a\": a column of type INTERVAL (FIXED_LEN_BYTE_ARRAY) cannot be read; write it as text");
    write(
        &path,
        "message m { required binary a; }",
        1,
        &[column::<ByteArrayType>(vec![ByteArray::from(vec![0xff_u8, 0xfe])], &[], &[])],
    );
    said("row 1: --user line 1, column 4: column \"a\": holds bytes that are no text in UTF-8");
    // A picture beside a text is in nobody's way, until it is asked for with the rest.
    let schema = "message m { required binary a (STRING); required binary picture; }";
    let picture = column::<ByteArrayType>(vec![ByteArray::from(vec![0xff_u8, 0xd8])], &[], &[]);
    write(&path, schema, 1, &[column::<ByteArrayType>(texts(&["a text"]), &[], &[]), picture]);
    let ended = prepare(place.path(), &ask);
    assert!(ended.code == 0 && ended.stdout.contains("\"content\":\"a text\""), "{ended:?}");
    for user in ["{{ row }}", "{{ picture or 'none' }}", "{{ a ~ picture }}", "{% if picture %}{{ a }}{% endif %}"] {
        let ended = prepare(place.path(), &["--model", "m", "--user", user]);
        assert_eq!((ended.code, ended.stdout.as_str()), (3, ""), "{user}: {ended:?}");
        assert!(ended.stderr.contains("column \"picture\": holds bytes that are no text"), "{user}: {ended:?}");
    }
    let nested = "message m { required group a { required int96 b; } }";
    write(&path, nested, 1, &[column::<Int96Type>(vec![Int96::new()], &[], &[])]);
    said("column \"a\": instants as INT96 within a list or a struct");
    let named = "message m { required int32 a; required int32 row_number; }";
    write(&path, named, 1, &[column::<Int32Type>(vec![1], &[], &[]), column::<Int32Type>(vec![1], &[], &[])]);
    said("row 1: has a field `row_number`");
    write(&path, "message m { required int32 a; }", 0, &[]);
    said("holds no rows");
    fs::write(&path, b"id,text\n1,x\n").expect("written");
    said("the file is no Parquet: it does not begin with PAR1");
    write(&path, "message m { required int32 a; }", 1, &[column::<Int32Type>(vec![1, 2, 3], &[], &[])]);
    let whole = fs::read(&path).expect("the file");
    fs::write(&path, &whole[..whole.len() - 9]).expect("written");
    said("the Parquet file cannot be read: ");
    // What is damaged may be refused in many words, but is never a crash, nor half of the rows.
    for at in (4..whole.len()).step_by(7) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x41;
        fs::write(&path, &damaged).expect("written");
        let ended = prepare(place.path(), &ask);
        assert!(matches!(ended.code, 0 | 2 | 3), "{at}: {ended:?}");
        assert_eq!(ended.stdout.lines().count(), if ended.code == 0 { 3 } else { 0 }, "{at}: {ended:?}");
        assert!(!ended.stderr.contains("panicked"), "{at}: {ended:?}");
    }
    // The crate has no answer to a column that begins before the file does.
    let begins = whole.windows(3).rposition(|bytes| bytes == [0x26, 0x08, 0x1c]).expect("data_page_offset: 4");
    let mut damaged = whole.clone();
    damaged[begins + 1] = 0x07;
    fs::write(&path, &damaged).expect("written");
    let ended = prepare(place.path(), &ask);
    assert_eq!((ended.code, ended.stdout.as_str()), (3, ""), "{ended:?}");
    let said = "the Parquet file cannot be read: it is damaged, or breaks the rules\n\
                error: rows.parquet: 1 problem; nothing was written\n";
    assert_eq!(ended.stderr, said);
}

#[test]
fn what_is_compressed_is_read_but_for_what_few_use() {
    use parquet::basic::Compression;
    let place = folder(&[]);
    let path = place.path().join("rows.parquet");
    let ask = ["--model", "m", "--user", "{{ a }}"];
    let schema = "message m { required binary a (STRING); }";
    let values = [column::<ByteArrayType>(texts(&["one", "two", "two"]), &[], &[])];
    let mut files = Vec::new();
    for compression in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(Default::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
        Compression::ZSTD(Default::default()),
    ] {
        let properties = WriterProperties::builder().set_compression(compression).build();
        write_as(&path, schema, 1, &values, properties);
        let ended = prepare(place.path(), &ask);
        assert_eq!((ended.code, ended.stdout.lines().count()), (0, 3), "{compression}: {ended:?}");
        files.push(fs::read(&path).expect("the file"));
    }
    files.dedup();
    assert_eq!(files.len(), 6, "each is another file");
    // Nothing here writes brotli: the file with gzip says in its place that it has that.
    let mut brotli = files.swap_remove(2);
    let codec = brotli.windows(3).rposition(|bytes| bytes == [0x15, 0x04, 0x16]).expect("codec: 2");
    brotli[codec + 1] = 0x08;
    fs::write(&path, &brotli).expect("written");
    let ended = prepare(place.path(), &ask);
    assert_eq!((ended.code, ended.stdout.as_str()), (3, ""), "{ended:?}");
    let said =
        "column \"a\" is compressed with BROTLI, which is not read here; write the file with zstd, snappy, gzip or lz4";
    assert!(ended.stderr.starts_with(said), "{ended:?}");
}

#[test]
fn a_table_of_parquet_is_run_and_stands_beside_its_answers() {
    let place = folder(&[]);
    let schema = "message m { required int64 id; optional binary text (STRING); }";
    let columns =
        [column::<Int64Type>(vec![7, 8], &[], &[]), column::<ByteArrayType>(texts(&["one", "two"]), &[1, 1], &[])];
    write(&place.path().join("rows.parquet"), schema, 1, &columns);
    let run = ["run", "rows.parquet", "--user", "{{ text }}", "--model", "auto", "--id", "{{ id }}", "--embedded"];
    let ended = lote_in(command(), place.path(), &run);
    assert_eq!(ended.code, 0, "{ended:?}");
    let told = ended.stderr.trim().split("  #").next().expect("a command").replace("'{{ id }}'", "{{␣id␣}}");
    let told: Vec<String> = told.split(' ').skip(1).map(|word| word.replace('␣', " ")).collect();
    let told: Vec<&str> = told.iter().map(String::as_str).collect();
    let exported = lote_in(command(), place.path(), &told);
    assert_eq!(exported.code, 0, "{told:?}: {exported:?}");
    let table = fs::read_to_string(place.path().join("rows.answers.csv")).expect("a table");
    assert!(table.starts_with("id,text,custom_id,outcome,text_2,"), "{table}");
    assert!(table.contains("\n7,one,7,succeeded,") && table.contains("\n8,two,8,succeeded,"), "{table}");
    assert_eq!(names(place.path()), ["rows.answers.csv", "rows.parquet", "rows.run"]);

    // The same bytes from stdin are the same rows.
    let bytes = fs::read(place.path().join("rows.parquet")).expect("the file");
    let args = ["prepare", "-", "--format", "parquet", "--user", "{{ text }}", "--model", "m", "-o", "-"];
    let piped = crate::common::lote_with(args, &bytes);
    assert_eq!(piped.code, 0, "{piped:?}");
    let lines: Vec<Value> = piped.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines[1]["body"]["messages"][0]["content"], "two");
}
