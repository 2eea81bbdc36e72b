/** Bytes that a request is about to bring, until all of them have come. */
export interface Incoming {
  received(bytes: number): void;
  /** Nothing more comes; may be called again. */
  end(): void;
}

/** Why no new upload is taken: less is free than is kept in reserve, or would be with what the upload announces. */
export interface NoRoom {
  readonly freeBytes: number;
  readonly reserveBytes: number;
  /** Whether something is on its way out, so that it is worth trying again soon. */
  readonly isBeingMade: boolean;
}

export type Admission = { readonly incoming: Incoming } | { readonly noRoom: NoRoom };

/** Whether there is room for uploads. Those under way go on in any case, as far as the disk lets them. */
export interface Room {
  /** Asks for a new upload, of so many bytes where that is known. What is admitted has to be ended. */
  admit(announcedBytes: number | undefined): Promise<Admission>;

  /** More bytes of an upload under way are coming, so many of them where that is known. Has to be ended. */
  expect(announcedBytes: number | undefined): Incoming;
}

const uncounted: Incoming = { received: () => undefined, end: () => undefined };

/** Room without bounds: what does not fit meets a full disk. */
export const unboundedRoom: Room = { admit: async () => ({ incoming: uncounted }), expect: () => uncounted };
