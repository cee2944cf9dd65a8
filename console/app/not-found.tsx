export default function NotFound() {
  return (
    <main className="grid min-h-dvh place-items-center p-6 text-center">
      <div>
        <h1 className="text-lg font-semibold">There is no such page</h1>
        <p className="mt-1 text-ink-2">
          <a href="/" className="text-accent underline">
            Go to the overview
          </a>
        </p>
      </div>
    </main>
  );
}
