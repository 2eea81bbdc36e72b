import type { Socket } from 'node:net';
import type { ContentResponse } from '../../registry/responses.ts';

/**
 * A client's connection to a front, with the front's own to the server behind. What that server takes for sent may still
 * wait here for its client: an answer is over for certain only when the client asks for something else, or is gone.
 */
export class FrontedConnection {
  readonly #client: Socket;
  readonly #inner: Socket;
  /** How many requests have come. */
  #requests = 0;

  constructor(client: Socket, inner: Socket) {
    this.#client = client;
    this.#inner = inner;
  }

  /** To be called when a request has come. */
  asked(): void {
    this.#requests++;
  }

  /**
   * The response to the request that has come last.
   *
   * @param isHandedOver whether the server behind has done its part of it
   */
  response(isHandedOver: () => boolean): ContentResponse {
    const request = this.#requests;
    return {
      isOver: () => this.#client.destroyed || this.#requests !== request,
      cut: () => {
        const wasSending = !isHandedOver() || this.#isHoldingBytes;
        this.#client.resetAndDestroy();
        return wasSending;
      },
    };
  }

  get #isHoldingBytes(): boolean {
    return this.#client.writableLength > 0 || this.#inner.readableLength > 0;
  }
}
