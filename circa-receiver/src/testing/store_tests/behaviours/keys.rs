//! Keys: whatever stands in them, no two are taken for one.

use crate::dedup::{ClaimAnswer, Key};

use super::super::subject::{DONE, Subject, unique, won};

/// Contract, section 7: the key is (endpoint name, event id), structured so that no two pairs
/// collide, whatever stands in them.
pub async fn no_two_keys_collide(subject: Subject) {
    let long = "x".repeat(255);
    let shorter = "x".repeat(254);
    let pairs = [
        ("a", "bc"),
        ("ab", "c"),
        ("abc", ""),
        ("", "abc"),
        ("a:b", "c"),
        ("a", "b:c"),
        ("a/b", "c"),
        ("a", "b/c"),
        ("a\0b", "c"),
        ("a", "b\0c"),
        ("a\0", "c"),
        ("a", "c\0"),
        ("a", "c"),
        ("a\n", "c"),
        ("{a}", "c"),
        ("A", "bc"),
        ("a ", "bc"),
        ("'; drop table claims; --", "c"),
        ("Übersicht", "ü"),
        ("U\u{308}bersicht", "ü"),
        ("\u{1f41f}", "evt_%_\\"),
        (&long, &long),
        (&long, &shorter),
        (&shorter, &long),
    ];
    let unique = unique();
    let mut tokens = Vec::new();
    for (endpoint, id) in pairs {
        let key = Key::new(&format!("{unique}{endpoint}"), id);
        let answer = subject.claim(&key).await;
        assert!(matches!(answer, ClaimAnswer::Won(_)), "{endpoint:?}, {id:?}: {answer:?}");
        tokens.push((endpoint, id, key, won(answer)));
    }
    for (endpoint, id, key, token) in &tokens {
        assert!(subject.complete(key, *token).await, "{endpoint:?}, {id:?}");
        assert_eq!(subject.claim(key).await, DONE, "{endpoint:?}, {id:?}");
    }
    for (endpoint, id, key, _) in &tokens {
        assert!(subject.forget(key).await, "{endpoint:?}, {id:?}: forgotten with another");
    }
}
