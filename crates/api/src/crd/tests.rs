use super::*;
#[test]
fn dump() {
    for crd in crds() { println!("{}", yaml(&crd).unwrap()); }
}
