//! Statements go by an index, however many rows there are.

use super::{Folder, clock};

#[test]
fn no_statement_scans_the_table() {
    let folder = Folder::new();
    drop(folder.inbox(&clock()));
    let connection = folder.connection();
    for (statement, index) in [
        (
            "SELECT id FROM inbox WHERE state < 2 AND endpoint = 'a' AND due <= 1 ORDER BY due LIMIT 5",
            "SEARCH inbox USING INDEX inbox_by_due",
        ),
        ("SELECT count(*) FROM inbox WHERE state = 3 AND endpoint = 'a'", "SCAN inbox USING INDEX inbox_by_death"),
        ("UPDATE inbox SET due = 1 WHERE id = 1 AND token = 1", "SEARCH inbox USING INTEGER PRIMARY KEY"),
        ("DELETE FROM inbox_failures WHERE id = 1", "SEARCH inbox_failures USING COVERING INDEX inbox_failures_by_id"),
    ] {
        let plan: String =
            connection.query_row(&format!("EXPLAIN QUERY PLAN {statement}"), [], |row| row.get("detail")).unwrap();
        assert!(plan.starts_with(index), "{statement}: {plan}");
    }
}
