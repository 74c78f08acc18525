#![cfg(test)]
#[test]
fn p() {
    println!("{:#}", portcullis::config::schema());
}
