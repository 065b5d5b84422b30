"""What people order to reach customers: campaigns, journeys, audiences, and the messages of the first two.

`campaigns`: planned in money, sent once, measured against a holdout.
`journeys`: follow what customers do, step by step.
`messages`: sent for both by the same code; receipts, bounces and subscriptions come back here.
`channels`: ways to customers, set up and tried. `audiences`: segments that ad platforms know.
"""
