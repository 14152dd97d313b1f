import express, { type Express } from "express";

/** The team's Express app, as it was before. Nothing in it knows of Plinth. */
export function createBookshop(): Express {
  const books = [{ isbn: "9780141439518", title: "Pride and Prejudice" }];
  const bookshop = express();
  bookshop.use(express.json());
  bookshop.get("/books", (_req, res) => {
    res.json({ books });
  });
  bookshop.post("/books", (req, res) => {
    books.push(req.body);
    res.status(201).json({ count: books.length });
  });
  return bookshop;
}

/** Its reports, an Express app of their own. */
export function createReports(): Express {
  const reports = express();
  reports.get("/sales", (req, res) => {
    // What the reports pass on to whatever they call.
    res.json({ sold: 41, traceparent: req.get("traceparent") });
  });
  reports.get("/year", () => {
    // Nobody has ever seen this one end.
  });
  return reports;
}
