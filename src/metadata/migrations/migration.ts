/** The words in which the databases' data definition differs. */
export interface DefinitionDialect {
  /** The type of a byte string. */
  readonly bytes: string;
  /** The type of a 64-bit integer. */
  readonly integer: string;
  /** The definition of a primary key that the database numbers, ascending. */
  readonly identity: string;
  /** Closes a `create table` whose rows are best kept in the order of their primary key. */
  readonly clustered: string;
}

/** One step of the schema; forward only, numbered without gaps, never edited once released. */
export interface Migration {
  readonly number: number;
  readonly name: string;
  statements(dialect: DefinitionDialect): readonly string[];
}
