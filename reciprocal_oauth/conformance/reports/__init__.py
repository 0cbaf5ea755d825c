"""What a run leaves behind. The document, a JSON object, holds all that is known. The other reports
(text, JUnit XML, HTML page) are made of it, also later."""
