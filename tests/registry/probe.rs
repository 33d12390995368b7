//! `registry_probe`, from the machine that it runs on, against the real server.

use regdeploy::modules::{Mode, find};
use regdeploy::system::local::Local;
use regdeploy::value::{Map, Value};
use regdeploy::wire::message::Outcome;

use super::server::Server;

fn probe(server: &Server) -> Outcome {
    let given = Map::from([
        (
            "url".to_owned(),
            Value::from(format!("http://{}", server.address)),
        ),
        ("repository".to_owned(), "regdeploy/verify".into()),
        ("push".to_owned(), true.into()),
        ("use_proxy".to_owned(), false.into()),
    ]);
    let module = find("registry_probe").unwrap();
    let arguments = module.spec().resolve(&given).unwrap();
    module.run(&arguments, Mode::default(), &Local::default())
}

#[test]
fn a_probe_proves_the_server_and_leaves_nothing() {
    let server = Server::start();
    for _ in 0..2 {
        let outcome = probe(&server);
        assert!(!outcome.failed && !outcome.changed, "{outcome:?}");
        assert_eq!(outcome.values["deleted"], true.into());
        let tag = outcome.values["tag"].to_string();
        let digest = outcome.values["digest"].to_string();
        for reference in [tag, digest] {
            server
                .get(&format!("/v2/regdeploy/verify/manifests/{reference}"))
                .expect(404);
        }
    }
}

#[test]
fn a_server_that_is_gone_is_told() {
    let mut server = Server::start();
    server.terminate();
    server.wait();
    let message = probe(&server).message().unwrap_or_default().to_owned();
    assert!(
        message.starts_with("cannot ask for the API: GET http://127.0.0.1:") && message.contains("efused"),
        "{message}"
    );
}
