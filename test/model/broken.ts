/** The registry did something that it must not. */
export class Broken extends Error {
  override readonly name = 'Broken';
}
