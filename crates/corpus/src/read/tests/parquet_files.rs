//! Parquet files, written by the same library, and damaged ones.

use std::sync::Arc;

use ::parquet::basic::Compression as Codec;
use ::parquet::column::writer::ColumnWriter;
use ::parquet::data_type::ByteArray;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::parser::parse_message_type;

use super::*;

const SCHEMA: &str = "message row {
    required int32 id;
    optional binary text (UTF8);
    required binary title (STRING);
    optional binary raw;
    repeated binary tags (UTF8);
    optional group meta { optional binary text (UTF8); }
}";

/// Row groups of an optional column `text`; the title is the text in brackets, the other columns are empty or null.
fn write(groups: &[Vec<Option<String>>], codec: Codec) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
    let properties = WriterProperties::builder().set_compression(codec).set_data_page_row_count_limit(100).build();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).unwrap();
    for group in groups {
        let mut row_group = writer.next_row_group().unwrap();
        let rows = group.len();
        let mut index = 0;
        while let Some(mut column) = row_group.next_column().unwrap() {
            match column.untyped() {
                ColumnWriter::Int32ColumnWriter(column) => {
                    column.write_batch(&vec![7; rows], None, None).unwrap();
                }
                ColumnWriter::ByteArrayColumnWriter(column) => {
                    let bytes = |text: &String| ByteArray::from(text.as_bytes().to_vec());
                    let present: Vec<_> = group.iter().flatten().map(bytes).collect();
                    let levels: Vec<_> = group.iter().map(|text| i16::from(text.is_some())).collect();
                    let titles: Vec<_> =
                        group.iter().map(|text| bytes(&format!("[{}]", text.as_deref().unwrap_or("")))).collect();
                    let nothing = vec![0; rows];
                    match index {
                        1 => column.write_batch(&present, Some(&levels), None),
                        2 => column.write_batch(&titles, None, None),
                        3 => column.write_batch(&vec![ByteArray::from(vec![0xFF]); rows], Some(&vec![1; rows]), None),
                        4 => column.write_batch(&[], Some(&nothing), Some(&nothing)),
                        _ => column.write_batch(&titles, Some(&vec![2; rows]), None),
                    }
                    .unwrap();
                }
                _ => panic!("a column of another type"),
            }
            column.close().unwrap();
            index += 1;
        }
        row_group.close().unwrap();
    }
    writer.into_inner().unwrap()
}

fn texts(range: std::ops::Range<u32>) -> Vec<Option<String>> {
    range.map(|number| Some(format!("Satz Nummer {number}: Grüße, 世界\r\n"))).collect()
}

fn read_column(bytes: &[u8], column: impl Into<TextFields>) -> Result<Vec<(u64, String)>, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    fs::write(&path, bytes).unwrap();
    read(&only_input(&path), &ReadOptions { text_field: column.into(), ..options(Unit::Line, "utf-16le") })
}

#[test]
fn row_groups_and_batches_follow_each_other() {
    let expect: Vec<_> = (1..).zip(texts(0..3005).into_iter().flatten()).collect();
    let groups = [texts(0..3), texts(3..2500), texts(2500..3005)];
    let zstd = Codec::ZSTD(Default::default());
    for codec in [Codec::UNCOMPRESSED, Codec::SNAPPY, Codec::GZIP(Default::default()), Codec::LZ4_RAW, zstd] {
        let bytes = write(&groups, codec);
        assert_eq!(read_column(&bytes, "text").unwrap(), expect, "{codec}");
    }
    let titles = read_column(&write(&groups, zstd), "title").unwrap();
    assert_eq!(titles[3004], (3005, format!("[{}]", expect[3004].1)));
    assert_eq!(read_column(&write(&groups, zstd), "meta.text").unwrap(), titles);
    assert_eq!(read_column(&write(&[], zstd), "text").unwrap(), []);
    let both = read_column(&write(&groups, zstd), ["text", "title", "body"]).unwrap();
    assert_eq!(both.len(), 2 * expect.len());
    let last = [&expect[3003], &titles[3003], &expect[3004], &titles[3004]].map(Clone::clone);
    assert_eq!(both[6006..], last, "side by side");
}

#[test]
fn progress_goes_to_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = write(&[texts(0..100), texts(100..200)], Codec::SNAPPY);
    let input = file(folder.path(), "a.parquet", &bytes);
    let mut found = documents(&input, &options(Unit::Line, "utf-8")).unwrap();
    assert_eq!(found.bytes_read(), 0);
    assert_eq!(found.by_ref().take(100).count(), 100);
    assert_eq!(found.bytes_read(), bytes.len() as u64 / 2);
    assert_eq!(found.by_ref().count(), 100);
    assert_eq!((found.bytes_read(), found.replaced()), (bytes.len() as u64, 0));
}

#[test]
fn columns_that_are_no_text_are_named() {
    let mut rows = texts(0..1500);
    rows[1200] = None;
    let bytes = write(&[texts(0..10), rows], Codec::SNAPPY);
    let check = |column: &str, parts: &[&str]| check_error(read_column(&bytes, column), parts);
    check("body", &["a.parquet: no `body` beside `id`, `text`, `title`, `raw`, `tags`, `meta.text`", "column `body`"]);
    check("id", &["a.parquet: `id` is of type INT32"]);
    check("tags", &["a.parquet: `tags` is a list"]);
    check("text", &["a.parquet:1211: `text` is null", "string `text`"]);
    check("raw", &["a.parquet:1: ", "string `raw`"]);
}

#[test]
fn a_compressed_parquet_file_is_refused() {
    let input = Input { path: "a.parquet.gz".into(), format: Format::Parquet, compression: Compression::Gzip };
    check_error(read(&input, &options(Unit::Line, "utf-8")), &["a.parquet.gz: ", "compressed as a whole"]);
}

#[test]
fn damaged_files_end_in_errors_not_in_panics() {
    let groups = [texts(0..40), texts(40..150)];
    for codec in [Codec::UNCOMPRESSED, Codec::SNAPPY] {
        let bytes = write(&groups, codec);
        for length in (0..bytes.len()).step_by(97) {
            check_error(read_column(&bytes[..length], "text"), &["a.parquet: ", "an Apache Parquet file"]);
        }
        for place in (0..bytes.len()).step_by(3) {
            let mut damaged = bytes.clone();
            damaged[place] ^= 1 << (place % 8);
            // A flipped bit within a text leaves a text: only a panic or more records than there are is wrong.
            if let Ok(found) = read_column(&damaged, "text") {
                assert!(found.len() <= 150);
            }
        }
    }
}
