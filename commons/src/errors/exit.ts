/** Thrown by a program's setup to end it early with a text for the user, such as the answer to `--help`. */
export class ExitRequest extends Error {
  readonly exitCode: number;
  readonly output: string;

  constructor(exitCode: number, output: string) {
    super('the program was asked to print a text and exit');
    this.name = 'ExitRequest';
    this.exitCode = exitCode;
    this.output = output;
  }
}
