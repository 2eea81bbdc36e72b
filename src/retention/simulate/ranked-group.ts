/** Something that has a place in a ranking by one of its values. */
export interface Ranked<Value> {
  readonly value: Value;
  readonly name: string;
}

/** The members of a group in order, those that a count keeps last. They come and go one by one. */
export class RankedGroup<Value, Member extends Ranked<Value>> {
  readonly #compare: (one: Value, other: Value) => number;
  /** From the least to the greatest. */
  readonly #members: Member[] = [];

  /** @param compare less than 0 where the first is the lesser; equal ones are in order of their names */
  constructor(compare: (one: Value, other: Value) => number) {
    this.#compare = compare;
  }

  add(member: Member): void {
    this.#members.splice(this.#placeOf(member), 0, member);
  }

  remove(member: Member): void {
    const place = this.#placeOf(member);
    if (this.#members[place] !== member) throw new Error(`${member.name} is not where it was put`);
    this.#members.splice(place, 1);
  }

  /** The greatest, so many of them. */
  greatest(count: number): ReadonlySet<Member> {
    return new Set(this.#members.slice(Math.max(0, this.#members.length - count)));
  }

  /** Those that have one of so many greatest values. */
  greatestValues(count: number): ReadonlySet<Member> {
    const found = new Set<Member>();
    let values = 0;
    for (let place = this.#members.length - 1; place >= 0; place -= 1) {
      const member = this.#members[place];
      const above = this.#members[place + 1];
      if (member === undefined) break;
      if (above === undefined || this.#compare(member.value, above.value) !== 0) values += 1;
      if (values > count) break;
      found.add(member);
    }
    return found;
  }

  #placeOf({ value, name }: Member): number {
    let [low, high] = [0, this.#members.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = this.#members[middle];
      if (other === undefined) break;
      const order = this.#compare(other.value, value);
      if (order < 0 || (order === 0 && other.name < name)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
