//! What conditions come to: three evaluators that must agree, and the command that shows it.
#![cfg(test)]

mod agreement;
mod command;
#[path = "../support/dice.rs"]
mod dice;
mod generator;
mod naive;
mod residual;
mod world;
