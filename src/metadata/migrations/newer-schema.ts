/** A database made by a later version, whose tables this one does not know. */
export class NewerSchemaError extends Error {
  override readonly name = 'NewerSchemaError';

  constructor(current: number, newest: number) {
    super(
      `the database has schema ${current}, this version of wherry knows schemas up to ${newest}: start the newer version`,
    );
  }
}
