//! Item 12: ranges.

use crate::registry::server::Server;

#[test]
fn item_12_ranges_in_parallel_and_under_conditions() {
    let server = Server::start();
    let content: Vec<u8> = (0..2_000_003_u32).map(|n| (n % 253) as u8).collect();
    let digest = server.push_blob("a", &content);
    let target = format!("/v2/a/blobs/{digest}");
    // As containerd does from 2.1 on.
    let parts: Vec<Vec<u8>> = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..8)
            .map(|number| {
                let (server, target) = (&server, &target);
                scope.spawn(move || {
                    let range = format!("bytes={}-{}", number * 250_001, number * 250_001 + 250_000);
                    server
                        .send("GET", target, &[("range", &range)], "")
                        .expect(206)
                        .body
                        .to_vec()
                })
            })
            .collect();
        readers.into_iter().map(|reader| reader.join().unwrap()).collect()
    });
    assert!(parts.concat() == content);
    let get = |method: &str, headers: &[(&str, &str)]| server.send(method, &target, headers, "");
    let (tag, range) = (format!("\"{digest}\""), ("range", "bytes=5-9"));
    for (status, method, headers) in [
        (206, "GET", vec![range, ("if-range", tag.as_str())]),
        (200, "GET", vec![range, ("if-range", "\"other\"")]),
        (
            200,
            "GET",
            vec![range, ("if-range", "Sat, 29 Oct 1994 19:43:31 GMT")],
        ),
        (200, "GET", vec![("range", "bytes=0-1,4-5")]),
        (200, "GET", vec![("range", "lines=1-2")]),
        // A part of what is not asked for.
        (200, "HEAD", vec![range]),
        (416, "GET", vec![("range", "bytes=9-5")]),
        (416, "GET", vec![("range", "bytes=-0")]),
    ] {
        let answer = get(method, &headers).expect(status);
        let length = match status {
            206 => "5".to_owned(),
            200 => content.len().to_string(),
            _ => continue,
        };
        assert_eq!(answer.header("content-length"), length, "{headers:?}");
        assert_eq!(answer.header("accept-ranges"), "bytes");
        assert_eq!(answer.header("docker-content-digest"), digest);
    }
}
