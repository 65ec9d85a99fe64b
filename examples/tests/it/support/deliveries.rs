//! Random deliveries: documented events, signed, and then spoilt in a few ways at once. Always
//! well-formed HTTP/1.1.
//!
//! All follows from a seed but the time of signing, which is the real one. Framing errors,
//! oversized heads and control characters in header values are not made: they are the HTTP server's
//! own affair.

use std::time::{SystemTime, UNIX_EPOCH};

use circa_receiver::{
    Sender,
    testing::{CircaSigner, CircularoSigner, Fixture, fixtures},
};

use super::{CIRCA_SECRET, CIRCULARO_SECRET, Request, random::Random, vectors::replace};

/// The deliveries of one sequence, with event ids of its own.
pub(crate) struct Deliveries {
    pub(crate) random: Random,
    name: String,
    count: usize,
    fixtures: Vec<Fixture>,
    /// What was sent lately, and may be sent again.
    recent: Vec<Event>,
}

#[derive(Clone)]
struct Event {
    circa: bool,
    id: String,
    event_type: String,
    body: Vec<u8>,
}

type Headers = Vec<(String, Vec<u8>)>;

impl Deliveries {
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        let random = Random::new(seed);
        Self { random, name: name.to_owned(), count: 0, fixtures: fixtures(), recent: Vec::new() }
    }

    pub(crate) fn next(&mut self) -> Request {
        let event = self.event();
        let mut headers = self.signature(&event);
        self.add_event_headers(&mut headers, &event);
        self.add_other_headers(&mut headers);
        self.random.shuffle(&mut headers);
        let tampered = self.random.one_in(25).then(|| self.spoilt_body(event.body.clone()));
        let body = tampered.unwrap_or(event.body);

        let own = if event.circa { "/webhooks/circa" } else { "/webhooks/circularo" };
        let methods = ["GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "post", "POSTS", "X-1"];
        let method = if self.random.one_in(15) { *self.random.pick(&methods) } else { "POST" };
        let request = Request::post(own).method(method);
        let request = headers.into_iter().fold(request, |request, (name, value)| request.header(&name, value));
        let empty = body.is_empty();
        let request = request.body(body);
        match self.random.below(4) {
            0 if empty => request.unframed(),
            0 | 1 => {
                let largest = *self.random.pick(&[1, 10, 300, 5_000]);
                let sizes: Vec<_> = (0..4).map(|_| self.random.between(largest.min(4), largest)).collect();
                // A chunk for each byte of a large body would only test the patience.
                let sizes = if largest == 1 { vec![1, 1_000] } else { sizes };
                request.chunked_as(&sizes)
            }
            _ => request,
        }
    }

    /// A fresh event, or one sent lately; its body as documented, or spoilt.
    fn event(&mut self) -> Event {
        if !self.recent.is_empty() && self.random.one_in(6) {
            return self.random.pick(&self.recent).clone();
        }
        self.count += 1;
        let id = format!("evt_{}_{}", self.name, self.count);
        // Circularo's fixtures differ in their type only: as many of Circa's.
        let circa = self.random.one_in(2);
        let fixtures: Vec<_> = self.fixtures.iter().filter(|it| (it.sender() == Sender::CIRCA) == circa).collect();
        let fixture = self.random.pick(&fixtures).with_id(&id);
        let body = fixture.body().as_bytes().to_vec();
        let body = if self.random.one_in(3) { self.spoilt_body(body) } else { body };
        let event = Event { circa, id, event_type: fixture.event_type().to_owned(), body };
        if self.recent.len() == 20 {
            self.recent.remove(0);
        }
        self.recent.push(event.clone());
        event
    }

    fn spoilt_body(&mut self, mut body: Vec<u8>) -> Vec<u8> {
        let random = &mut self.random;
        let at = random.below(body.len() + 1);
        let field =
            *random.pick(&["id", "type", "created", "livemode", "teamId", "data", "event", "documentId", "actor"]);
        match random.below(18) {
            0 | 1 => {
                for _ in 0..random.between(1, 3) {
                    let at = random.below(body.len().max(1));
                    let bit = 1 << random.below(8);
                    body.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= bit);
                }
                body
            }
            2 => body[..at].to_vec(),
            3 => insert(&body, 1.min(body.len()), format!("\"{field}\":1,").as_bytes()),
            4 => random
                .pick(&["[]", "null", "\"text\"", "1", "true", "{}", "[{}]", "{", "\"", "{}{}"])
                .as_bytes()
                .to_vec(),
            5 => {
                let other =
                    *random.pick(&["1", "null", "\"\"", "{}", "[]", "true", "1.5", "-1", "1e400", "\"\\u0000\""]);
                let renamed = format!("\"{field}\":{other},\"x\":");
                replace(&body, format!("\"{field}\":").as_bytes(), renamed.as_bytes())
            }
            6 | 7 => {
                let padding = "a".repeat(random.below(20_000 - body.len().min(19_000)));
                insert(&body, 1.min(body.len()), format!("\"padding\":\"{padding}\",").as_bytes())
            }
            8 => Vec::new(),
            9 => insert(&body, at, &[0x80 + u8::try_from(random.below(0x80)).unwrap()]),
            10 => insert(&body, 0, random.pick(&["\u{feff}", " ", "\r\n\t ", "\0", "x"]).as_bytes()),
            11 => [&body, *random.pick(&[&b" "[..], b"\n\n", b"{}", b"x", b"\0", b","])].concat(),
            12 => {
                let depth = random.between(120, 135);
                let nested = format!("\"deep\":{}{},", "[".repeat(depth), "]".repeat(depth));
                insert(&body, 1.min(body.len()), nested.as_bytes())
            }
            13 | 14 => {
                let long = "t".repeat(random.between(126, 130));
                let other = *random.pick(&["brand.new", "a b", "", "DATAPOINT.PULLED", "ü", "a\\u0062", &long]);
                let key = if replace(&body, b"\"event\":\"", b"") == body { "type" } else { "event" };
                let renamed = format!("\"{key}\":\"{other}\",\"x\":\"");
                replace(&body, format!("\"{key}\":\"").as_bytes(), renamed.as_bytes())
            }
            15 => replace(&body, b"\"evt_", b"\"\\u0065vt_"),
            16 => replace(&body, b"\"evt_", &[b"\"evt_", &b"a".repeat(random.between(230, 260))[..]].concat()),
            _ => insert(&body, at, random.pick(&["\\", "\"", ",", ":", "\\ud800", "\n", "\u{7f}", "  "]).as_bytes()),
        }
    }

    /// The signature header: its field lines, none to a few.
    fn signature(&mut self, event: &Event) -> Headers {
        let [own, other] =
            if event.circa { [0, 1] } else { [1, 0] }.map(|at| ["Circa-Signature", "X-Circularo-Signature"][at]);
        let signed = self.signed(event);
        let line = |value: &[u8]| (own.to_owned(), value.to_vec());
        if !self.random.one_in(4) {
            return vec![line(&signed)];
        }
        match self.random.below(8) {
            0 => vec![],
            1 => vec![line(&signed), line(&signed)],
            2 => signed.split(|&byte| byte == b',').map(line).collect(),
            3 => vec![(other.to_owned(), signed)],
            4 => vec![line(&signed), (other.to_owned(), b"t=1,v1=00".to_vec())],
            5 => vec![line(b""), line(&signed)],
            _ => {
                let spoilt = self.spoilt_signature(signed);
                vec![line(&spoilt)]
            }
        }
    }

    /// The value of a signature header, mostly right.
    fn signed(&mut self, event: &Event) -> Vec<u8> {
        let wrong = self.random.one_in(25);
        if !event.circa {
            let secret = if wrong { "another-secret-0123456789" } else { CIRCULARO_SECRET };
            return CircularoSigner::new(secret).sign(&event.body).into_bytes();
        }
        let signer = CircaSigner::new(if wrong { "whsec_of_somebody_else" } else { CIRCA_SECRET });
        let signer = if self.random.one_in(10) { signer.and("whsec_of_somebody_else") } else { signer };
        // Some seconds from the tolerance of 300 s, so that both receivers judge alike though one
        // is asked a little later.
        let skews = [-1, 1, -285, 285, -315, 315, -3_600, 86_400, -1_700_000_000];
        let skew = if self.random.one_in(8) { *self.random.pick(&skews) } else { 0 };
        let now: i64 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap();
        let at = if self.random.one_in(50) { *self.random.pick(&[0, 1, i64::MAX]) } else { now + skew };
        signer.sign(at, &event.body).into_bytes()
    }

    fn spoilt_signature(&mut self, value: Vec<u8>) -> Vec<u8> {
        let random = &mut self.random;
        let mut elements: Vec<_> = value.split(|&byte| byte == b',').map(<[u8]>::to_vec).collect();
        let at = random.below(value.len());
        let blank = (*random.pick(&[&b" "[..], b"\t", b" \t ", b"  "])).to_vec();
        match random.below(13) {
            0 | 1 => {
                let mut value = value;
                value[at] = random.header_byte();
                value
            }
            2 => {
                random.shuffle(&mut elements);
                elements.join(&b","[..])
            }
            3 | 4 => {
                let zeros = format!("v1={}", "0".repeat(64));
                let all = ["v0=abc", "v1=00", "v2=", "x", "", "=", "=a", "t=1", " v1 = 5", "k=a=b", "T=1", &zeros];
                for _ in 0..*random.pick(&[1, 2, 7, 8, 14, 15]) {
                    // Mostly harmless ones: of many, one would be fatal nearly always.
                    let range = if random.one_in(8) { all.len() } else { 3 };
                    let at = random.below(elements.len() + 1);
                    elements.insert(at, random.pick(&all[..range]).as_bytes().to_vec());
                }
                elements.join(&b","[..])
            }
            5 => elements.join(&[&blank[..], b",", &blank].concat()[..]),
            6 => [&blank, &value[..], &blank].concat(),
            7 => insert(&value, at, &blank),
            8 => value.to_ascii_uppercase(),
            9 => value[..at].to_vec(),
            10 => [&value[..], *random.pick(&[&b"0"[..], b"00", b"ab", b"=", b",", b",,", b";"])].concat(),
            11 => {
                let length = random.between(1_020, 1_028);
                [&value[..], b",x=", &vec![b'a'; length.saturating_sub(value.len() + 3)]].concat()
            }
            _ => match random.below(4) {
                0 => Vec::new(),
                1 => blank,
                2 => {
                    replace(&value, b"t=", random.pick(&["t=0", "t=+", "t=-", "t= ", "t==", "t=9999999999"]).as_bytes())
                }
                _ => value[..1].to_vec(),
            },
        }
    }

    /// `Circa-Event-Id` and `Circa-Event`: matching, different, repeated, empty.
    fn add_event_headers(&mut self, headers: &mut Headers, event: &Event) {
        for (name, right) in [("Circa-Event-Id", &event.id), ("Circa-Event", &event.event_type)] {
            if !self.random.one_in(3) {
                continue;
            }
            let values = match self.random.below(14) {
                0 => vec![String::new()],
                1 => vec![right.clone(), right.clone()],
                2 => vec![right.clone(), String::new()],
                3 => vec![right.to_uppercase()],
                4 => vec![format!("{right}x")],
                5 => vec![format!(" \t{right}\t ")],
                6 => vec![format!("\"{right}\"")],
                7 => vec![format!("{right},{right}")],
                _ => vec![right.clone()],
            };
            headers.extend(values.into_iter().map(|value| (self.spelled(name), value.into_bytes())));
        }
    }

    fn add_other_headers(&mut self, headers: &mut Headers) {
        if self.random.one_in(10) {
            let encodings: [&[&str]; 11] = [
                &["identity"],
                &["Identity"],
                &[" identity\t"],
                &["gzip"],
                &["br"],
                &["deflate"],
                &["zstd"],
                &[""],
                &["identity, gzip"],
                &["identity", "gzip"],
                &["identity", "identity"],
            ];
            let values = *self.random.pick(&encodings);
            headers.extend(values.iter().map(|value| (self.spelled("Content-Encoding"), value.as_bytes().to_vec())));
        }
        let others: [(&str, &[&str]); 10] = [
            (
                "Content-Type",
                &["application/json", "application/json; charset=utf-16", "text/plain", "", "multipart/form-data", "a"],
            ),
            ("User-Agent", &["Circa-Webhooks/1.0", "", "\u{fc}"]),
            ("Accept", &["*/*", "text/html", "image/png;q=0"]),
            ("Accept-Encoding", &["gzip, br", "identity;q=0", "zstd", "*"]),
            ("Circa-Webhook-Id", &["wh_1", "", "wh\t1", "\u{fc}"]),
            ("X-Forwarded-For", &["127.0.0.1", ""]),
            ("Cookie", &["a=b; c", "="]),
            ("Range", &["bytes=0-1"]),
            ("If-None-Match", &["*"]),
            ("Connection", &["keep-alive", "close", "Keep-Alive", "CLOSE", "x"]),
        ];
        for (name, values) in others {
            if self.random.one_in(8) {
                headers.push((self.spelled(name), self.random.pick(values).as_bytes().to_vec()));
            }
        }
        if self.random.one_in(20) {
            let length = self.random.below(60);
            let value = (0..length).map(|_| self.random.header_byte()).collect();
            let name = *self.random.pick(&["X-Anything", "Circa-Webhook-Id", "Content-Encoding", "Circa-Event-Id"]);
            headers.push((self.spelled(name), value));
        }
    }

    /// A header's name in one case or another.
    fn spelled(&mut self, name: &str) -> String {
        match self.random.below(4) {
            0 => name.to_lowercase(),
            1 => name.to_uppercase(),
            _ => name.to_owned(),
        }
    }
}

fn insert(bytes: &[u8], at: usize, part: &[u8]) -> Vec<u8> {
    [&bytes[..at], part, &bytes[at..]].concat()
}
