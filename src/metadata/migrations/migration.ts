/** The words in which the databases' data definition differs. */
export interface DefinitionDialect {
  /** The type of a byte string. */
  readonly bytes: string;
  /** The type of a text, whose order is that of its bytes. */
  readonly text: string;
  /** The type of a 64-bit integer. */
  readonly integer: string;
  /** The definition of a primary key that the database numbers, ascending. */
  readonly identity: string;
  /**
   * Has a table be empty after anything by which the database may lose what was committed without waiting for its disk,
   * where other processes outlive that.
   */
  readonly emptiedByCrashes: string;
  /** Closes a `create table` whose rows are best kept in the order of their primary key. */
  readonly clustered: string;
  /**
   * A number below 64 that a transaction has for itself as far as possible: where each counts in a row of its own, none
   * waits for another.
   */
  readonly counterShard: string;
  /** A whole number from 0 below 2^53, another one each time. */
  readonly randomNumber: string;
  /**
   * Has a table's numbers come from a sequence of which a transaction takes one only once it has a number itself, where
   * transactions run side by side: so it can be told when no row with a smaller number will come any more.
   */
  numberInTransactions(table: string): readonly string[];
  /** The definition of a trigger. */
  trigger(definition: TriggerDefinition): readonly string[];
  /** Takes a trigger away. */
  dropTrigger(trigger: Pick<TriggerDefinition, 'name' | 'table'>): readonly string[];
}

/** What the database does itself, in the same transaction, for each row that a statement touches. */
export interface TriggerDefinition {
  readonly name: string;
  readonly after: 'insert' | 'update' | 'delete';
  readonly table: string;
  /** A condition on the rows `old` and `new`; every row where it is left out. */
  readonly when?: string;
  readonly statements: readonly string[];
}

/** One step of the schema; forward only, numbered without gaps, never edited once released. */
export interface Migration {
  readonly number: number;
  readonly name: string;
  /**
   * The newest migration that a version of Wherry has to know to work on a database on which this one has run, as it does
   * for a while when the processes of a registry are replaced one after the other. Its own number where it is left out:
   * then it has to be the processes of earlier versions that end first.
   */
  readonly understoodSince?: number;
  statements(dialect: DefinitionDialect): readonly string[];
}
